// A strip of bars: bits a frame of each group, by what they are for.

const KINDS = ["content", "motion", "network", "rest"];
const FOOT = 6; // rows of the marks of key groups and of the place
const REDRAW_MS = 150;

export class Strip {
  #canvas;
  #groups = new Map(); // by first frame
  #frames = 0;
  #frame = 0;
  #later = 0;

  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** Begin a file of as many frames; null if that is unknown. */
  begin(frames) {
    this.#groups.clear();
    this.#frames = frames ?? 0;
    this.#frame = 0;
    this.#soon();
  }

  /** Groups of the index: {offset, firstFrame, key}; `end` is where the last one ends at most. */
  index(groups, frames, end) {
    this.#frames = Math.max(this.#frames, frames ?? 0);
    groups.forEach((group, i) => {
      if (this.#groups.has(group.firstFrame)) return;
      const next = groups[i + 1] ?? { offset: end, firstFrame: this.#frames };
      const bytes = next.offset - group.offset;
      const count = Math.max(1, next.firstFrame - group.firstFrame);
      this.#groups.set(group.firstFrame, { ...group, frames: count, bytes });
    });
    this.#soon();
  }

  /** A group with what it holds. */
  add(group) {
    this.#groups.set(group.firstFrame, group);
    this.#frames = Math.max(this.#frames, group.firstFrame + group.frames);
    this.#soon();
  }

  set frame(frame) {
    this.#frame = frame;
    this.#soon();
  }

  /** Frames that are known of. */
  get frames() {
    return this.#frames;
  }

  /** The frame below a place of the strip, 0..1. */
  frameAt(place) {
    return Math.min(this.#frames - 1, Math.max(0, Math.floor(place * this.#frames)));
  }

  #soon() {
    this.#later ||= setTimeout(() => {
      this.#later = 0;
      this.#draw();
    }, REDRAW_MS);
  }

  #draw() {
    const canvas = this.#canvas;
    const width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    const height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
    canvas.width = width;
    canvas.height = height;
    if (!this.#frames) return;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const colours = KINDS.map((kind) => style.getPropertyValue(`--${kind}`));
    const groups = [...this.#groups.values()];
    const most = Math.max(1, ...groups.map(({ bytes, frames }) => bytes / frames));
    const foot = FOOT * devicePixelRatio;
    for (const group of groups) {
      const left = (group.firstFrame / this.#frames) * width;
      const across = Math.max(1, (group.frames / this.#frames) * width - 1);
      let y = height - foot;
      const { content = 0, motion = 0, network = 0 } = group;
      const parts = [content, motion, network, group.bytes - content - motion - network];
      parts.forEach((bytes, k) => {
        const tall = (bytes / group.frames / most) * (height - foot);
        context.fillStyle = colours[k];
        context.fillRect(left, y - tall, across, tall);
        y -= tall;
      });
      context.fillStyle = "#c33";
      if (group.key) context.fillRect(left, height - foot, Math.max(2, across), foot / 2);
    }
    context.fillStyle = "#c33";
    context.fillRect(((this.#frame + 0.5) / this.#frames) * width - 1, 0, 2, height);
  }
}
