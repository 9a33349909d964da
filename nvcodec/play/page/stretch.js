// Sound at another speed in the same pitch: short pieces of the input, laid over each other (WSOLA).
//
// A piece of the output begins near the place that the speed asks for, where the input is most like the
// continuation of the piece before.

const HOP = 0.016; // seconds of output between pieces, half of their length
const REACH = 0.008; // seconds around the place that are looked at
const COARSE = 6000; // samples a second of the first look; the second one is at all places around the best

export class Stretch {
  #speed;
  #hop;
  #reach;
  #step; // samples of the input in one of the first look
  #fade; // of a piece that begins
  #input; // samples by channel
  #mixed = new Float32Array(0);
  #dropped = 0; // samples of the input before those that are kept
  #pieces = 0;
  #goOn = 0; // where the piece before would go on in the input

  /** `rate`: samples a second; `speed`: 2 makes the sound half as long. */
  constructor(channels, rate, speed) {
    this.#speed = speed;
    this.#hop = Math.max(2, Math.round(HOP * rate));
    this.#reach = Math.round(REACH * rate);
    this.#step = Math.max(1, Math.round(rate / COARSE));
    this.#fade = Float32Array.from({ length: this.#hop }, (_, i) =>
      0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / this.#hop));
    this.#input = Array.from({ length: channels }, () => new Float32Array(0));
  }

  /** Samples that were given out for each channel; they are those of the input from its begin on. */
  get given() {
    return this.#pieces * this.#hop;
  }

  /** Add samples by channel; gives the output that they complete, by channel. */
  add(samples) {
    this.#input = this.#input.map((kept, c) => joined(kept, samples[c]));
    this.#mixed = joined(this.#mixed, mix(samples));
    const end = this.#dropped + this.#mixed.length;
    const made = samples.map(() => []);
    for (;;) {
      const place = Math.round(this.#pieces * this.#hop * this.#speed);
      if (Math.max(place + this.#reach, this.#goOn) + 2 * this.#hop > end) break;
      const start = this.#pieces ? this.#best(place) : 0;
      this.#input.forEach((input, c) => {
        const before = input.subarray(this.#goOn - this.#dropped);
        const next = input.subarray(start - this.#dropped);
        made[c].push(this.#fade.map((part, i) => before[i] + part * (next[i] - before[i])));
      });
      this.#goOn = start + this.#hop;
      this.#pieces++;
    }
    this.#drop();
    return made.map((pieces) => joined(...pieces));
  }

  /** The place around `place` whose samples are most like those that would go on. */
  #best(place) {
    const step = this.#step;
    const mixed = this.#mixed;
    const like = this.#goOn - this.#dropped;
    const from = Math.max(0, place - this.#reach - this.#dropped);
    const to = place + this.#reach - this.#dropped;
    const count = Math.floor(this.#hop / step);
    const wanted = sums(mixed, like, count, step);
    const offered = sums(mixed, from, count + Math.floor((to - from) / step), step);
    const first = from + step * mostAlike(offered, 0, offered.length - count, wanted);
    const [low, high] = [Math.max(from, first - step), Math.min(to, first + step)];
    const exact = mixed.subarray(like, like + this.#hop);
    return this.#dropped + mostAlike(mixed, low, high, exact);
  }

  /** Forget what no later piece takes. */
  #drop() {
    const place = Math.round(this.#pieces * this.#hop * this.#speed);
    const end = this.#dropped + this.#mixed.length;
    const until = Math.min(Math.max(0, place - this.#reach), this.#goOn, end);
    if (until <= this.#dropped) return;
    const count = until - this.#dropped;
    this.#input = this.#input.map((input) => input.slice(count));
    this.#mixed = this.#mixed.slice(count);
    this.#dropped = until;
  }
}

function joined(...parts) {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function mix(samples) {
  const all = samples[0].slice();
  for (const channel of samples.slice(1)) for (let i = 0; i < all.length; i++) all[i] += channel[i];
  return all;
}

/** Sums of `step` samples each. */
function sums(samples, from, count, step) {
  const found = new Float32Array(count);
  for (let k = 0, at = from; k < count; k++) for (let i = 0; i < step; i++) found[k] += samples[at++];
  return found;
}

/** The place of `from` to `to` in samples where they are most like `wanted`. */
function mostAlike(samples, from, to, wanted) {
  let best = from;
  let most = -Infinity;
  for (let place = from; place <= to; place++) {
    let product = 0;
    let energy = 1e-9;
    for (let i = 0; i < wanted.length; i++) {
      const sample = samples[place + i];
      product += sample * wanted[i];
      energy += sample * sample;
    }
    const likeness = product / Math.sqrt(energy);
    if (likeness > most) [best, most] = [place, likeness];
  }
  return best;
}
