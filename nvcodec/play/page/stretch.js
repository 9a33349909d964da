// Sound at another speed in the same pitch: short pieces of the input, laid over each other (WSOLA).
//
// A piece of the output begins near the place that the speed asks for, where the input is most like the
// continuation of the piece before.

const HOP = 0.016; // seconds of output between pieces, half of their length
const REACH = 0.008; // seconds around the place that are looked at
const SPARSE = 2; // of the samples that are compared

export class Stretch {
  #speed;
  #hop;
  #reach;
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
    const mixed = this.#mixed;
    const like = this.#goOn - this.#dropped;
    let best = place;
    let most = -Infinity;
    const from = Math.max(this.#dropped, place - this.#reach);
    for (let start = from; start <= place + this.#reach; start++) {
      const at = start - this.#dropped;
      let product = 0;
      let energy = 1e-9;
      for (let i = 0; i < this.#hop; i += SPARSE) {
        product += mixed[at + i] * mixed[like + i];
        energy += mixed[at + i] * mixed[at + i];
      }
      const likeness = product / Math.sqrt(energy);
      if (likeness > most) [best, most] = [start, likeness];
    }
    return best;
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
  return samples[0].map((_, i) => samples.reduce((sum, channel) => sum + channel[i], 0));
}
