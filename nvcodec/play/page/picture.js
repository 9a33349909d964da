// A decoded picture: planes of samples, and what they mean.

const PRIMARIES = {
  1: "bt709", 5: "bt470bg", 6: "smpte170m", 7: "smpte170m", 9: "bt2020", 12: "smpte432",
};
const TRANSFER = {
  1: "bt709", 6: "smpte170m", 8: "linear", 13: "iec61966-2-1", 14: "bt709", 15: "bt709", 16: "pq",
  18: "hlg",
};
const MATRIX = { 0: "rgb", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020-ncl" };
const FORMAT = ["I420", "I420", "I422", "I444"];
const RGB = 0;
const UNSPECIFIED = 2;
const SD_ROWS = 576;

/** H.273 code points of a file; what it leaves open is as players guess it from the size. */
export function meaning(info) {
  const sd = info.height <= SD_ROWS;
  const guess = (value, small, large) => (value === UNSPECIFIED ? (sd ? small : large) : value);
  return {
    matrix: guess(info.matrix, 6, 1),
    primaries: info.primaries === UNSPECIFIED ? 1 : info.primaries,
    transfer: info.transfer === UNSPECIFIED ? 1 : info.transfer,
    full: info.fullRange === 1 || (info.fullRange === UNSPECIFIED && info.matrix === RGB),
  };
}

/** Width and height of a picture as it is shown, with square samples; smaller than `most` allows. */
export function displaySize(width, height, info, most = [Infinity, Infinity]) {
  const ratio = info.sarNum ? info.sarNum / info.sarDen : 1;
  const size = ratio > 1 ? [width * ratio, height] : [width, height / ratio];
  const scale = Math.min(1, most[0] / size[0], most[1] / size[1]);
  return size.map((length) => Math.max(1, Math.round(length * scale)));
}

export class Picture {
  #info;
  #giveBack;

  constructor(fields, info, giveBack) {
    Object.assign(this, fields);
    this.#info = info;
    this.#giveBack = giveBack;
  }

  get bitDepth() {
    return this.#info.bitDepth;
  }

  /** Samples of a plane, rows without gaps: Uint8Array, or Uint16Array above 8 bits. */
  plane(number) {
    const { offset, stride, rows } = this.planes[number];
    return this.bitDepth > 8
      ? new Uint16Array(this.buffer, offset, (stride * rows) / 2)
      : new Uint8Array(this.buffer, offset, stride * rows);
  }

  /** A VideoFrame of the same samples; grey pictures get planes of colour. */
  videoFrame() {
    const info = this.#info;
    const depth = info.bitDepth;
    const bytes = depth > 8 ? 2 : 1;
    let data = this.buffer;
    let layout = this.planes.map(({ offset, stride }) => ({ offset, stride }));
    if (info.planes === 1) {
      const [luma] = this.planes;
      const stride = Math.ceil(this.width / 2) * bytes;
      const size = stride * Math.ceil(this.height / 2);
      data = new ArrayBuffer(this.buffer.byteLength + 2 * size);
      const first = this.buffer.byteLength;
      new Uint8Array(data).set(new Uint8Array(this.buffer));
      if (depth > 8) new Uint16Array(data, first).fill(2 ** (depth - 1));
      else new Uint8Array(data, first).fill(128);
      layout = [{ offset: 0, stride: luma.stride }, { offset: first, stride }];
      layout.push({ offset: first + size, stride });
    }
    const { matrix, primaries, transfer, full } = meaning(info);
    const [displayWidth, displayHeight] = displaySize(this.width, this.height, info);
    return new VideoFrame(data, {
      format: FORMAT[info.chromaFormat] + (depth > 8 ? `P${depth}` : ""),
      codedWidth: this.width,
      codedHeight: this.height,
      displayWidth,
      displayHeight,
      timestamp: this.timestamp,
      duration: this.duration,
      layout,
      colorSpace: {
        matrix: MATRIX[matrix] ?? null,
        primaries: PRIMARIES[primaries] ?? null,
        transfer: TRANSFER[transfer] ?? null,
        fullRange: full,
      },
    });
  }

  /** Give the memory back. */
  close() {
    if (!this.buffer) return;
    this.#giveBack(this.buffer);
    this.buffer = null;
  }
}
