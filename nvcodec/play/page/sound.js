// The sound of one track: packets in, samples to the speakers in time with the pictures.
//
// Packets are decoded by WebCodecs, in a worker, PCM by itself. The samples of a packet are heard at
// its time; at another speed than 1, in the same pitch.

import { release } from "./memory.js";
import { Stretch } from "./stretch.js";

const AHEAD = 1.5e6; // microseconds decoded before they are heard
const BEHIND = 0.2e6; // decoded before the place that is sought, for codecs that look back
const KEPT = 10e6;
const TRIMMED = 64; // packets at a time
const GAP = 5e3; // a longer one between samples is kept when they are stretched
const PCM_CHANNELS = 32; // these and the rates are what browsers play
const PCM_RATES = [3000, 768000];

const PCM = /^pcm_(?:(u8|s8)|(s16|s24|s32|f32|f64)(le|be))$/;

function flacDescription(extradata) {
  if (extradata[0] === 0x66) return extradata; // "fLaC" is there
  const length = extradata.length;
  const head = [0x66, 0x4c, 0x61, 0x43, 0x80, length >> 16, (length >> 8) & 255, length & 255];
  return new Uint8Array([...head, ...extradata]);
}

function aacCodec(extradata) {
  const type = extradata.length ? extradata[0] >> 3 : 2;
  return `mp4a.40.${type > 0 && type < 31 ? type : 2}`;
}

const CODECS = {
  aac: (extradata) => ({ codec: aacCodec(extradata), description: extradata }),
  opus: (extradata) => ({ codec: "opus", description: extradata }),
  flac: (extradata) => ({ codec: "flac", description: flacDescription(extradata) }),
  vorbis: (extradata) => ({ codec: "vorbis", description: extradata }),
  mp3: () => ({ codec: "mp3" }),
};

/** Configuration of an AudioDecoder for a track; null if the browser does not decode it. */
async function configuration({ codec, rate, channels, extradata }) {
  if (!Object.hasOwn(CODECS, codec) || typeof AudioDecoder === "undefined" || !rate) return null;
  const config = { ...CODECS[codec](extradata), sampleRate: rate, numberOfChannels: channels || 2 };
  if (config.description && !config.description.length) delete config.description;
  try {
    const { supported } = await AudioDecoder.isConfigSupported(config);
    return supported ? config : null;
  } catch {
    return null;
  }
}

/** Whether a track can be heard here. */
export async function canHear(track) {
  if (track.kind !== "audio") return false;
  if (PCM.test(track.codec)) {
    const { rate, channels } = track;
    const [least, most] = PCM_RATES;
    return rate >= least && rate <= most && channels >= 1 && channels <= PCM_CHANNELS;
  }
  return (await configuration(track)) !== null;
}

/** Channels of floats from the bytes of a PCM packet. */
export function pcmSamples(codec, channels, data) {
  const [, narrow, wide, order] = PCM.exec(codec);
  const kind = narrow ?? wide;
  const little = order !== "be";
  const bytes = Number(kind.slice(1)) / 8;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const read = {
    u8: (at) => (view.getUint8(at) - 128) / 128,
    s8: (at) => view.getInt8(at) / 128,
    s16: (at) => view.getInt16(at, little) / 32768,
    s24: (at) => {
      const high = view.getInt8(little ? at + 2 : at);
      const low = view.getUint16(little ? at : at + 1, little);
      return (high * 65536 + low) / 8388608;
    },
    s32: (at) => view.getInt32(at, little) / 2147483648,
    f32: (at) => view.getFloat32(at, little),
    f64: (at) => view.getFloat64(at, little),
  }[kind];
  const count = Math.floor(data.byteLength / bytes / channels);
  return Array.from({ length: channels }, (_, c) =>
    Float32Array.from({ length: count }, (_, i) => read((i * channels + c) * bytes)));
}

function releaseAll(arrays) {
  for (const { buffer } of arrays) release(buffer);
}

export class Sound {
  #track;
  #context;
  #packets = [];
  #next = 0;
  #worker = null; // that decodes
  #configured = false;
  #turn = 0; // of the worker
  #sources = new Set();
  #start = null; // {media, context}: microseconds and seconds that belong together
  #speed = 1;
  #stretched = null; // {stretch, rate, media, next}: of samples without a gap, from `media` on
  #failed = false;
  #wanted = false;

  /** A track that canHear() accepted. */
  constructor(track) {
    this.#track = track;
    this.#context = new AudioContext();
    if (!PCM.test(track.codec)) this.#worker = this.#decodingWorker();
  }

  /** Whether the browser waits for a click or a key before it lets sound be heard. */
  get blocked() {
    return this.#context.state === "suspended";
  }

  /** Ask for sound: call it when the user clicks or presses a key. */
  unblock() {
    this.#context.resume().catch(() => {});
  }

  add(packets) {
    const mine = packets.filter(({ track }) => track === this.#track.number);
    if (!mine.length) return;
    const last = this.#packets.at(-1);
    // After a seek, packets may come again.
    this.#packets.push(...mine.filter(({ timestamp }) => !last || timestamp > last.timestamp));
  }

  /** Play from a time in microseconds on at a speed, until stop(). */
  async start(media, speed = 1) {
    this.stop();
    this.#wanted = true;
    this.#speed = speed;
    if (this.#failed || this.blocked) return;
    this.#start = { media, context: this.#context.currentTime };
    const from = media - BEHIND;
    this.#next = this.#packets.findIndex(({ timestamp, duration }) => timestamp + duration > from);
    if (this.#next < 0) this.#next = this.#packets.length;
    if (!PCM.test(this.#track.codec)) {
      const begun = this.#start;
      const config = await configuration(this.#track);
      if (this.#start !== begun) return;
      this.#worker.postMessage({ config, turn: ++this.#turn });
      this.#configured = true;
    }
    this.update(media);
  }

  /** Decode what is heard soon; call it often with the time that is shown. */
  update(media) {
    this.#trim(media);
    if (this.#wanted && !this.#start && !this.blocked) this.start(media, this.#speed);
    const pcm = PCM.test(this.#track.codec);
    if (!this.#start || this.#failed || (!pcm && !this.#configured)) return;
    const { codec, channels, rate } = this.#track;
    const chunks = [];
    for (; this.#next < this.#packets.length; this.#next++) {
      const { timestamp, duration, key, data } = this.#packets[this.#next];
      if (timestamp > media + AHEAD * Math.max(1, this.#speed)) break;
      if (pcm) {
        this.#hear(pcmSamples(codec, channels, data), rate, timestamp);
      } else {
        const type = key ? "key" : "delta";
        chunks.push({ type, timestamp, duration, data });
      }
    }
    if (chunks.length) this.#worker.postMessage({ chunks, turn: this.#turn });
  }

  #trim(media) {
    const old = this.#packets.findIndex(({ timestamp }) => timestamp > media - KEPT);
    if (old < TRIMMED) return;
    releaseAll(this.#packets.splice(0, old).map(({ data }) => data));
    this.#next = Math.max(0, this.#next - old);
  }

  stop() {
    this.#wanted = false;
    this.#start = null;
    this.#stretched = null;
    this.#configured = false;
    for (const source of this.#sources) source.stop();
    this.#sources.clear();
  }

  /** Forget all packets: others follow. */
  clear() {
    this.stop();
    releaseAll(this.#packets.map(({ data }) => data));
    this.#packets = [];
    this.#next = 0;
  }

  close() {
    this.stop();
    this.#worker?.terminate();
    this.#context.close().catch(() => {});
  }

  #decodingWorker() {
    const worker = new Worker(new URL("sound_worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data: { channels, rate, timestamp, turn, failed } }) => {
      if (turn !== this.#turn || !this.#configured) return;
      if (failed) this.#failed = true;
      else this.#hear(channels, rate, timestamp);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#failed = true;
    };
    return worker;
  }

  #hear(channels, rate, timestamp) {
    if (!channels[0]?.length) return;
    if (this.#speed === 1) this.#schedule(channels, rate, timestamp);
    else this.#stretch(channels, rate, timestamp);
    releaseAll(channels);
  }

  #stretch(channels, rate, timestamp) {
    const found = this.#stretched;
    if (!found || found.rate !== rate || Math.abs(timestamp - found.next) > GAP) {
      const stretch = new Stretch(channels.length, rate, this.#speed);
      this.#stretched = { stretch, rate, media: timestamp };
    }
    const { stretch, media } = this.#stretched;
    const first = media + (stretch.given * this.#speed * 1e6) / rate;
    this.#stretched.next = timestamp + (channels[0].length * 1e6) / rate;
    const stretched = stretch.add(channels);
    this.#schedule(stretched, rate, first);
    releaseAll(stretched);
  }

  #schedule(channels, rate, timestamp) {
    const count = channels[0].length;
    if (!count) return;
    const buffer = this.#context.createBuffer(channels.length, count, rate);
    channels.forEach((samples, k) => buffer.copyToChannel(samples, k));
    const at = this.#start.context + (timestamp - this.#start.media) / 1e6 / this.#speed;
    const late = Math.max(0, this.#start.context - at, this.#context.currentTime - at);
    if (late >= buffer.duration) return;
    const source = this.#context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.#context.destination);
    source.onended = () => this.#sources.delete(source);
    source.start(at + late, late);
    this.#sources.add(source);
  }
}
