// What a file is, in lines, as nvinfo says it.

const MODELS = ["", "sine", "hybrid", "nirvana"];
const CHROMA = ["grey", "4:2:0", "4:2:2", "4:4:4"];
const RANGES = ["limited", "full", "unspecified"];

/** Microseconds as minutes, seconds and thousandths. */
export function clock(microseconds) {
  const all = Math.round(Math.abs(microseconds) / 1000);
  const pad = (value, digits) => String(value).padStart(digits, "0");
  const minutes = Math.floor(all / 60000);
  const seconds = pad(Math.floor(all / 1000) % 60, 2);
  return `${microseconds < 0 ? "-" : ""}${minutes}:${seconds}.${pad(all % 1000, 3)}`;
}

/** Lines about the file of a decoder. */
export function facts({ info, tracks, chapters, hdr, size }) {
  const lines = [];
  const line = (name, value) => lines.push(`${name.padEnd(20)} ${value}`);
  const pair = (num, den) => (num ? `${num}/${den}` : "unknown");
  line("format version", info.formatVersion);
  line("level", info.level);
  line("model", MODELS[info.model] + (info.network ? ", with network" : ""));
  line("size", `${info.width}x${info.height}`);
  line("samples", `${CHROMA[info.chromaFormat]}, ${info.bitDepth} bits`);
  line("frames", info.frameCount ?? "unknown");
  line("frame rate", pair(info.frameRateNum, info.frameRateDen));
  line("time base", pair(info.timeBaseNum, info.timeBaseDen));
  line("sample aspect ratio", pair(info.sarNum, info.sarDen));
  line("colour primaries", info.primaries);
  line("transfer", info.transfer);
  line("matrix", info.matrix);
  line("range", RANGES[info.fullRange]);
  line("chroma location", info.chromaLocation === 255 ? "unspecified" : info.chromaLocation);
  line("frames of a group", `at most ${info.groupFrames}`);
  if (size !== null) line("bytes", size);
  for (const [name, value] of Object.entries(hdr ?? {})) if (value !== null) line(name, value);
  for (const { number, kind, codec, language, rate, channels, layout, title } of tracks) {
    const sound = rate ? `${rate} Hz ${layout || `${channels} channels`}` : "";
    const words = [kind, codec, language, sound, title && `"${title}"`];
    line(`track ${number}`, words.filter(Boolean).join(" "));
  }
  for (const { start, end, title } of chapters) {
    line("chapter", `${clock(start)} to ${clock(end)}  ${title}`);
  }
  return lines;
}
