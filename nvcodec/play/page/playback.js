// Plays a file: a queue of decoded pictures, a clock, and what is shown when.

const QUEUE_BYTES = 96 * 2 ** 20;
const MOST_QUEUED = 64;
const LEAST_QUEUED = 3;
const GAP_MS = 1000; // a longer pause between two looks at the clock is no time that was played

/** Events: "open", "picture", "state", "clock" (it goes on from this time), "tick" (the time), "sought",
 * "late" (a picture came too late; detail: milliseconds of that for bytes), "failed" (detail: Error),
 * and those of NrvDecoder.
 */
export class Playback extends EventTarget {
  #renderer;
  #queue = [];
  #room = null;
  #arrived = null;
  #ended = false;
  #turn = 0;
  #seeking = null;
  #base = null; // {media, wall}: microseconds and milliseconds that belong together
  #looked = 0;
  #shown = null;
  #closed = false;
  #speed = 1;
  decoder;
  playing = false;
  waiting = false;

  /** `decoder` is a NrvDecoder that has just begun; close() closes it too. */
  constructor(decoder, renderer) {
    super();
    this.#renderer = renderer;
    this.decoder = decoder;
    for (const type of ["packets", "group", "progress", "fallback"]) {
      this.decoder.addEventListener(type, ({ detail }) => this.#tell(type, detail));
    }
    this.#open();
  }

  get speed() {
    return this.#speed;
  }

  set speed(speed) {
    this.#rebase();
    this.#speed = speed;
    this.#tell("state");
  }

  /** Number of the frame that is shown; -1 before the first. */
  get frame() {
    return this.#shown?.index ?? -1;
  }

  /** Whether the network of the frame that is shown ran in WebGPU. */
  get gpu() {
    return this.#shown?.gpu ?? false;
  }

  /** Time that is shown, in microseconds. */
  get time() {
    return this.#base ? this.#media(performance.now()) : (this.#shown?.timestamp ?? 0);
  }

  /** Whether the last frame was shown to its end. */
  get atEnd() {
    return this.#ended && !this.#queue.length;
  }

  async play() {
    if (this.playing || this.#closed) return;
    this.playing = true;
    if (this.atEnd) await this.seek(0);
    this.#rebase();
    this.#tell("state");
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.waiting = false;
    this.#base = null;
    this.#tell("state");
  }

  /** Show the next frame, or the one before. */
  async step(count) {
    this.pause();
    if (count < 0) {
      await this.seek(Math.max(0, this.frame - 1));
      return;
    }
    while (!this.#queue.length && !this.#ended && !this.#closed) {
      await new Promise((resolve) => (this.#arrived = resolve));
    }
    if (this.#queue.length) this.#show(this.#queue.shift());
  }

  /** Go to a frame; of several seeks at a time the last one counts. */
  async seek(frame) {
    const running = this.#seeking;
    this.#seeking = { frame };
    if (running) return;
    try {
      for (let target = null; target !== this.#seeking?.frame; ) {
        target = this.#seeking.frame;
        this.#turn++;
        this.#clear();
        this.#tell("sought");
        await this.decoder.seek(target);
      }
    } catch (error) {
      this.#fail(error);
      return;
    } finally {
      this.#seeking = null;
    }
    this.#fill();
  }

  /** Show the same frame again, unless another one comes anyway. */
  async redraw() {
    if (this.frame >= 0 && !this.playing) await this.seek(this.frame);
  }

  /** Go on from the frame that is shown with as many workers as the decoder now has use for. */
  async spread() {
    if (this.frame >= 0) await this.seek(this.frame);
  }

  /** Show frames with the network or without it, from the one that is shown on. */
  async setNetwork(on) {
    this.decoder.network = on;
    if (this.frame >= 0) await this.seek(this.frame);
  }

  close() {
    this.#closed = true;
    this.#turn++;
    this.#clear();
    this.decoder.close();
  }

  async #open() {
    try {
      await this.decoder.ready;
      if (this.#closed) return;
      this.#renderer.begin(this.decoder.info, this.decoder.hdr);
      this.#tell("open");
      this.#fill();
      requestAnimationFrame(() => this.#look());
    } catch (error) {
      this.#fail(error);
    }
  }

  async #fill() {
    const turn = ++this.#turn;
    this.#ended = false;
    let most = LEAST_QUEUED;
    try {
      for await (const picture of this.decoder.pictures()) {
        if (turn !== this.#turn) {
          picture.close();
          return;
        }
        most = Math.floor(QUEUE_BYTES / picture.buffer.byteLength);
        most = Math.min(MOST_QUEUED, Math.max(LEAST_QUEUED, most));
        this.#queue.push(picture);
        this.#arrive();
        // The first picture of a file or after a seek is shown at once.
        if (!this.#shown) this.#show(this.#queue.shift());
        while (this.#queue.length >= most && turn === this.#turn) {
          await new Promise((resolve) => (this.#room = resolve));
        }
        if (turn !== this.#turn) return;
      }
      if (turn === this.#turn) this.#ended = true;
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#ended = true;
      this.#fail(error);
    }
    this.#arrive();
  }

  #arrive() {
    this.#arrived?.();
    this.#arrived = null;
  }

  #clear() {
    for (const picture of this.#queue) picture.close();
    this.#queue = [];
    this.#shown = null;
    this.#base = null;
    this.#ended = false;
    this.#room?.();
    this.#arrive();
  }

  #media(now) {
    return this.#base.media + (now - this.#base.wall) * 1000 * this.#speed;
  }

  /** Let the clock go on from the frame that is shown. */
  #rebase() {
    this.#base = this.playing && this.#shown
      ? { media: this.#shown.timestamp, wall: performance.now() }
      : null;
    if (this.#base) this.#tell("clock", this.#base.media);
  }

  #look() {
    if (this.#closed) return;
    requestAnimationFrame(() => this.#look());
    const now = performance.now();
    const gap = now - this.#looked > GAP_MS;
    this.#looked = now;
    if (!this.playing || !this.#shown) return;
    if (!this.#base || gap) this.#rebase();
    const media = this.#media(now);
    let next = null;
    while (this.#queue.length && this.#queue[0].timestamp <= media) {
      next?.close();
      next = this.#queue.shift();
    }
    if (next) {
      if (this.waiting) this.#tell("late", next.waited);
      this.#show(next);
    } else if (!this.#queue.length && media >= this.#shown.timestamp + this.#shown.duration) {
      if (this.#ended) this.pause();
      else this.#wait();
      return;
    }
    if (this.waiting) {
      this.waiting = false;
      this.#rebase();
      this.#tell("state");
    }
    this.#tell("tick", media);
  }

  /** The next picture is not there in time: the clock stands still. */
  #wait() {
    this.#base = { media: this.#shown.timestamp + this.#shown.duration, wall: performance.now() };
    if (this.waiting) return;
    this.waiting = true;
    this.#tell("state");
  }

  #show(picture) {
    const { index, timestamp, duration, network, gpu, keyGroup, width, height } = picture;
    try {
      this.#renderer.draw(picture);
    } finally {
      picture.close();
    }
    this.#shown = { index, timestamp, duration, network, gpu, keyGroup, width, height };
    this.#room?.();
    this.#room = null;
    this.#tell("picture", this.#shown);
  }

  #fail(error) {
    if (this.#closed || error.kind === "closed") return;
    this.pause();
    this.#tell("failed", error);
  }

  #tell(type, detail = null) {
    if (!this.#closed) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
