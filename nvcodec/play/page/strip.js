// A strip of bars: bits a frame of each group, by what they are for.

const KINDS = ["content", "motion", "network", "rest"];
const FOOT = 6; // rows of the marks of key groups and of the place
const REDRAW_MS = 150;
const MOST_GROUPS = 4096; // of a longer file, the largest ones of as many parts
const MARK = "#c33";

/** Bytes a frame. */
const share = ({ bytes, frames }) => bytes / frames;

export class Strip {
  #canvas;
  #bars = document.createElement("canvas");
  #changed = false; // the bars are not those of the groups
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
    this.#changed = true;
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
      this.#set({ ...group, frames: count, bytes });
    });
  }

  /** A group with what it holds. */
  add(group) {
    this.#set(group);
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

  #set(group) {
    this.#frames = Math.max(this.#frames, group.firstFrame + group.frames);
    this.#groups.set(group.firstFrame, group);
    if (this.#groups.size > MOST_GROUPS) this.#thin();
    this.#changed = true;
    this.#soon();
  }

  /** Leave half as many groups, of each part of the file the largest one. */
  #thin() {
    const largest = new Map();
    for (const group of this.#groups.values()) {
      const part = Math.floor((group.firstFrame / this.#frames) * (MOST_GROUPS / 2));
      const other = largest.get(part);
      if (!other || share(group) > share(other)) largest.set(part, group);
    }
    this.#groups = new Map([...largest.values()].map((group) => [group.firstFrame, group]));
  }

  #draw() {
    const canvas = this.#canvas;
    const width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    const height = Math.max(1, Math.round(canvas.clientHeight * devicePixelRatio));
    if (this.#changed || canvas.width !== width || canvas.height !== height) {
      for (const each of [canvas, this.#bars]) {
        if (each.width !== width) each.width = width;
        if (each.height !== height) each.height = height;
      }
      this.#drawBars();
    }
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.drawImage(this.#bars, 0, 0);
    if (!this.#frames) return;
    context.fillStyle = MARK;
    context.fillRect(((this.#frame + 0.5) / this.#frames) * width - 1, 0, 2, height);
  }

  #drawBars() {
    this.#changed = false;
    const { width, height } = this.#bars;
    const context = this.#bars.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (!this.#frames) return;
    const style = getComputedStyle(document.documentElement);
    const colours = KINDS.map((kind) => style.getPropertyValue(`--${kind}`));
    const groups = [...this.#groups.values()];
    const most = Math.max(1, ...groups.map(share));
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
      context.fillStyle = MARK;
      if (group.key) context.fillRect(left, height - foot, Math.max(2, across), foot / 2);
    }
  }
}
