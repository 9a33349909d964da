// The fusion network (spec/nrv.md, clause 9) by WebGPU: canvases, warps and quantisers in, samples out.
//
// The kernels are in gpu_network.wgsl. A frame is computed in strips of rows of sites, so that memory
// beside the planes does not grow with the frame.

const STRIP_SITES = 2 ** 18;
const CHANNEL_PAIRS = 9;
const NEAR = 6; // planes of the high-pass inputs
const GROUP = [16, 4]; // sites of a workgroup
const STRIP_BYTES = 256; // between structures of strips: uniform buffers want this alignment

/** An adapter of WebGPU, or null. One that is a program only where `any`. */
export async function findAdapter(any = false) {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    return adapter && (any || !adapter.info.isFallbackAdapter) ? adapter : null;
  } catch {
    return null;
  }
}

/** Eight rows of weights, each with its bias first, as the kernels read them: for eight units their
 * biases, then for each input its eight weights.
 */
function packed(rows) {
  const length = rows[0].length;
  const found = new Int32Array(rows.length * length);
  rows.forEach((row, u) => {
    const start = (u >> 3) * 8 * length + (u & 7);
    row.forEach((weight, i) => (found[start + 8 * i] = weight));
  });
  return found;
}

/** Rows of a hidden layer, its inputs in the order [ky][kx][input]. */
function hiddenRows({ kernel, inputs, units, weights, biases }, first) {
  const block = [24, 16, 8].find((count) => units % count === 0);
  const count = kernel * kernel * inputs;
  const parts = first ? [[0, NEAR], [NEAR, inputs]] : [[0, inputs]];
  const rows = Array.from({ length: units }, (_, u) => [biases[u]]);
  let at = 0; // of an input in the weights
  for (let ky = 0; ky < kernel; ky++) {
    for (const [from, to] of parts) {
      for (let kx = 0; kx < kernel; kx++) {
        for (let i = from; i < to; i++, at++) {
          rows.forEach((row, u) => {
            const pair = Math.floor(u / block) * (count / 2) + (at >> 1);
            const weight = weights[(pair * block + (u % block)) * 2 + (at & 1)];
            row[1 + (ky * kernel + kx) * inputs + i] = weight;
          });
        }
      }
    }
  }
  return rows;
}

/** Rows of the output layer (9.2), the high-pass inputs in the order [ky][kx][plane]. */
function outputRows(weights) {
  const length = weights.length / 6;
  const rows = Array.from({ length: 8 }, (_, p) => {
    if (p >= 6) return new Array(length).fill(0);
    const row = Array.from(weights.subarray(p * length, (p + 1) * length));
    const near = Array.from({ length: 9 * NEAR }, (_, k) => row[1 + 9 * (k % NEAR) + Math.floor(k / NEAR)]);
    return [64 * row[0], ...near, ...row.slice(1 + 9 * NEAR)];
  });
  return rows;
}

export class GpuNetwork {
  #device;
  #shape;
  #pipelines = {};
  #buffers = {};
  #layers; // weights of hidden layers, by network
  #strips = [];
  #groups = []; // bind groups, by network and strip
  #lost = null;

  /** The network for frames of one shape; throws where the adapter does not do it.
   *
   *  `shape` is what Decoder.networkShape() gives.
   */
  static async create(adapter, shape) {
    const network = new GpuNetwork();
    network.#shape = shape;
    const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
    const requiredLimits = { maxStorageBufferBindingSize, maxBufferSize };
    const device = await adapter.requestDevice({ requiredLimits });
    network.#device = device;
    device.lost.then(({ message, reason }) => (network.#lost = message || reason));
    device.onuncapturederror = ({ error }) => (network.#lost = error.message);
    try {
      if (4 * shape.samples > maxStorageBufferBindingSize) throw new Error("the frames are too large");
      await network.#build();
    } catch (error) {
      network.close();
      throw error;
    }
    return network;
  }

  /** Compute a frame. `input` is what Decoder.networkInput() gives; `take` gets the bytes of its planes. */
  async render(input, take) {
    const { queue } = this.#device;
    const { canvas, warps, quantisers, outputs, result, staging } = this.#buffers;
    queue.writeBuffer(canvas, 0, input.canvas);
    queue.writeBuffer(warps, 0, input.warps);
    queue.writeBuffer(quantisers, 0, input.quantisers);
    queue.writeBuffer(outputs, 0, packed(outputRows(input.rows)));
    const encoder = this.#device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    this.#groups[input.network].forEach((groups, number) => {
      const { rows, begin, end } = this.#strips[number];
      for (const { pipeline, group, across, blocks } of groups) {
        const down = pipeline === this.#pipelines.output ? end - begin : rows;
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(Math.ceil(across / GROUP[0]), Math.ceil(down / GROUP[1]), blocks);
      }
    });
    pass.end();
    encoder.copyBufferToBuffer(result, 0, staging, 0, result.size);
    queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    if (this.#lost) throw new Error(this.#lost);
    take(new Uint8Array(staging.getMappedRange()));
    staging.unmap();
  }

  close() {
    this.#device.destroy();
  }

  async #build() {
    const response = await fetch(new URL("gpu_network.wgsl", import.meta.url));
    if (!response.ok) throw new Error("gpu_network.wgsl cannot be loaded");
    const device = this.#device;
    for (const filter of ["out-of-memory", "validation"]) device.pushErrorScope(filter);
    const module = device.createShaderModule({ code: await response.text() });
    const pipeline = (entryPoint, constants = {}) =>
      device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint, constants } });
    const { layers, shift } = this.#shape;
    const [inputs, output, ...hidden] = await Promise.all([
      pipeline("inputs"),
      pipeline("output", { PAIRS: layers[0].at(-1).units / 2, SHIFT: shift }),
      ...layers[0].map((layer) =>
        pipeline("hidden", { KERNEL: layer.kernel, PAIRS: layer.inputs / 2, SHIFT: layer.shift })),
    ]);
    this.#pipelines = { inputs, hidden, output };
    this.#allocate();
    this.#bind();
    for (let k = 0; k < 2; k++) {
      const error = await device.popErrorScope();
      if (error) throw new Error(error.message || "there is not enough memory");
    }
  }

  #buffer(size, usage) {
    return this.#device.createBuffer({ size: Math.ceil(size / 16) * 16, usage });
  }

  #filled(array, usage) {
    const buffer = this.#buffer(array.byteLength, usage | GPUBufferUsage.COPY_DST);
    this.#device.queue.writeBuffer(buffer, 0, array);
    return buffer;
  }

  #allocate() {
    const { STORAGE, COPY_DST, COPY_SRC, MAP_READ, UNIFORM } = GPUBufferUsage;
    const { width, height, format, extra, samples, layers } = this.#shape;
    const halo = Math.max(1, layers[0].filter(({ kernel }) => kernel === 3).length);
    const most = Math.min(height, Math.max(1, Math.floor(STRIP_SITES / width) - 2 * halo));
    const rows = most + 2 * halo;
    for (let begin = 0; begin < height; begin += most) {
      this.#strips.push({ rows, begin, end: Math.min(height, begin + most), first: begin - halo });
    }
    const uniforms = new Int32Array(this.#strips.length * STRIP_BYTES / 4);
    this.#strips.forEach(({ begin, end, first }, k) =>
      uniforms.set([width, height, first, rows, begin, end, format, extra], k * STRIP_BYTES / 4));
    const units = Math.max(...layers[0].map((layer) => layer.units));
    const inputs = STORAGE | COPY_DST;
    this.#layers = layers.map((network) =>
      network.map((layer, k) => this.#filled(packed(hiddenRows(layer, k === 0)), STORAGE)));
    this.#buffers = {
      strips: this.#filled(uniforms, UNIFORM),
      canvas: this.#buffer(2 * samples, inputs),
      warps: this.#buffer(4 * samples, inputs),
      quantisers: this.#buffer(width * height, inputs),
      outputs: this.#buffer(32 * (67 + layers[0].at(-1).units), inputs),
      channels: this.#buffer(4 * CHANNEL_PAIRS * rows * width, STORAGE),
      hidden: [0, 1].map(() => this.#buffer(2 * units * rows * width, STORAGE)),
      result: this.#buffer(2 * samples, STORAGE | COPY_SRC),
      staging: this.#buffer(2 * samples, COPY_DST | MAP_READ),
    };
  }

  #bind() {
    const { width, layers } = this.#shape;
    const { strips, canvas, warps, quantisers, outputs, channels, hidden, result } = this.#buffers;
    const bound = (pipeline, number, buffers) => {
      const strip = { buffer: strips, offset: number * STRIP_BYTES, size: 32 };
      const entries = Object.entries(buffers).map(([binding, buffer]) =>
        ({ binding: Number(binding), resource: { buffer } }));
      return this.#device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0), entries: [{ binding: 0, resource: strip }, ...entries],
      });
    };
    this.#groups = layers.map((network, n) => this.#strips.map((_, s) => {
      const step = (pipeline, across, blocks, buffers) =>
        ({ pipeline, across, blocks, group: bound(pipeline, s, buffers) });
      const { inputs, output } = this.#pipelines;
      const first = { 1: canvas, 2: warps, 3: quantisers, 4: channels };
      const steps = [step(inputs, width, 1, first)];
      network.forEach(({ units }, k) => {
        const from = k ? hidden[(k - 1) % 2] : channels;
        const buffers = { 4: hidden[k % 2], 6: from, 7: this.#layers[n][k] };
        steps.push(step(this.#pipelines.hidden[k], width, units / 8, buffers));
      });
      const last = hidden[(network.length - 1) % 2];
      const ends = { 1: canvas, 3: quantisers, 4: result, 5: channels, 6: last, 7: outputs };
      steps.push(step(output, width / 2, 1, ends));
      return steps;
    }));
  }
}
