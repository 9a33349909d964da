// Decodes packets of sound beside the page: a decoder takes one packet at a time, and would wait for the
// page, which draws, between each two of them.
//
// Messages in: {config, turn} begins; {chunks, turn} are packets. Out: {channels, rate, timestamp, turn}
// of a packet, or {failed, turn}. `turn` is a number that the page chooses for each begin.

import { collectSometimes, release } from "./memory.js";

let decoder = null;

function close() {
  if (decoder && decoder.state !== "closed") decoder.close();
  decoder = null;
}

function begin(config, turn) {
  close();
  decoder = new AudioDecoder({
    output: (data) => {
      const channels = Array.from({ length: data.numberOfChannels }, (_, planeIndex) => {
        const samples = new Float32Array(data.numberOfFrames);
        data.copyTo(samples, { planeIndex, format: "f32-planar" });
        return samples;
      });
      const { sampleRate: rate, timestamp } = data;
      data.close();
      postMessage({ channels, rate, timestamp, turn }, channels.map(({ buffer }) => buffer));
    },
    error: () => postMessage({ failed: true, turn }),
  });
  decoder.configure(config);
}

onmessage = ({ data: { config, chunks = [], turn } }) => {
  collectSometimes();
  try {
    if (config) begin(config, turn);
    for (const chunk of chunks) {
      decoder?.decode(new EncodedAudioChunk(chunk));
      release(chunk.data.buffer);
    }
  } catch {
    close();
    postMessage({ failed: true, turn });
  }
};
