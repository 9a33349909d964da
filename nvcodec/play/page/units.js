// Units of a file (spec/nrv.md 2.2), found from their heads: where a group begins, what it holds.

const HEAD_BYTES = 8;
const CRC_BYTES = 4;
const GROUP_BYTES = 512; // fields of a group before its substreams
const MOST = [0, 2 ** 22, 2 ** 23, 2 ** 24, 2 ** 25, 2 ** 27]; // 2.11, by level
const LEVEL_AT = 8 + HEAD_BYTES + 4;

/** Offset of the first unit. */
export const FIRST = 8;

/** {type, length, end} from the first bytes of a unit; null where they are no unit. */
export function unitHead(bytes, offset, most) {
  const type = String.fromCharCode(...bytes.subarray(0, 4));
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
  if (!/^[A-Za-z]{4}$/.test(type) || length > most) return null;
  return { type, length, end: offset + HEAD_BYTES + length + CRC_BYTES };
}

/** Walks over units that a store has. */
export class Units {
  #store;
  #most = 4096;

  /** What runs for a while can be stopped: `turn` is {stopped: false} until then. */
  turn = { stopped: false };

  constructor(store) {
    this.#store = store;
  }

  /** Wait for bytes of the store, as long as the turn is not stopped; those from `from` on stay. */
  need(start, end, from = start) {
    return this.#store.need(start, end, this.turn, from);
  }

  /** Wait for the head of the unit at an offset; null at the end or where there is no unit. */
  async head(offset, from = offset) {
    if (!(await this.need(offset, offset + HEAD_BYTES, from))) return null;
    if (this.#most === 4096 && offset > FIRST) {
      const level = this.#store.bytes(LEVEL_AT, LEVEL_AT + 1)[0];
      this.#most = MOST[level] ?? MOST[5];
    }
    return unitHead(this.#store.bytes(offset, offset + HEAD_BYTES), offset, this.#most);
  }

  /** Wait until all units from `begin` to the first one that `last` accepts are there at a time.
   *
   * Gives the end of that unit; where the file ends or is damaged before, what is there is enough
   * for the decoder to say so.
   */
  async through(begin, last) {
    let offset = begin;
    let until = begin;
    for (let found = false; !found; ) {
      const unit = await this.head(offset, begin);
      until = unit?.end ?? offset + HEAD_BYTES;
      if (!unit || !(await this.need(offset, until, begin))) break;
      const end = unit.type === "FEND";
      if (end) await this.need(until, until + 1, begin); // nothing stands after it
      found = end || last(unit, offset);
      offset = until;
    }
    await this.need(begin, until);
    return offset;
  }

  /** What the group whose unit begins at `offset` and is there holds; null where it is damaged. */
  group(offset, end) {
    const first = offset + HEAD_BYTES;
    return groupFields(this.#store.bytes(first, Math.min(end - CRC_BYTES, first + GROUP_BYTES)), {
      offset,
      bytes: end - offset,
      length: end - offset - HEAD_BYTES - CRC_BYTES,
    });
  }
}

function groupFields(bytes, unit) {
  let at = 0;
  const byte = () => {
    if (at >= bytes.length) throw new RangeError("a group ends within its fields");
    return bytes[at++];
  };
  const big = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const b = byte();
      value |= BigInt(b & 127) << shift;
      if (b < 128) return value;
    }
  };
  const uv = () => Number(big());
  try {
    const key = (byte() & 1) === 1;
    const frames = uv();
    const firstFrame = uv();
    at += 4;
    const time = big();
    const pts = time & 1n ? -(time + 1n) / 2n : time / 2n;
    for (let done = 0; done < frames; ) {
      uv();
      done += Math.max(1, uv());
    }
    const [tables, content, motion] = [uv(), uv(), uv()];
    const network = Math.max(0, unit.length - at - tables - content - motion);
    const { offset, bytes: all } = unit;
    return { offset, bytes: all, key, frames, firstFrame, pts, content, motion, network };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
