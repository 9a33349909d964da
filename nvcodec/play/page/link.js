// A worker that decodes, and the calls that wait for its answers.

import { NrvError } from "./decoder.js";
import { release } from "./memory.js";

/** The decoder's WebAssembly.Module; NrvError where there is none. */
async function compile() {
  const url = new URL("nrv.wasm", import.meta.url);
  try {
    return await WebAssembly.compileStreaming(fetch(url));
  } catch {
    // A host that does not know the type of the file.
    const response = await fetch(url);
    if (!response.ok) throw new NrvError("input", "The decoder, nrv.wasm, cannot be loaded.");
    const bytes = await response.arrayBuffer();
    if (!WebAssembly.validate(bytes)) {
      throw new NrvError("internal", "This browser lacks what the decoder needs: WebAssembly SIMD.");
    }
    return WebAssembly.compile(bytes);
  }
}

const MOST_SPARE = 4;

let module = null; // a promise of the module of all workers

export class Link {
  #worker;
  #calls = new Map();
  #last = 0;
  #closed = false;
  #spare = []; // buffers of pictures

  /** `tell(type, detail)` takes packets, groups and progress. */
  constructor(tell = () => {}) {
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => {
      if (data.id === undefined) tell(...Object.entries(data)[0]);
      else this.#answer(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new NrvError("internal", "The decoder cannot run in this browser."));
    };
    module ??= compile();
    module.then(
      (compiled) => this.#worker.postMessage({ module: compiled }),
      ({ kind = "internal", message }) => {
        module = null; // the next decoder tries again
        this.#worker.postMessage({ failed: { kind, message } });
      },
    );
  }

  /** Call a method of the worker's session; what was asked for in an older generation is dropped. */
  call(call, value, generation = 0, moved = []) {
    if (this.#closed) return Promise.reject(new NrvError("closed", "The decoder was closed."));
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, value, generation }, moved);
    });
  }

  /** Ask for a picture; it may take memory that was given back. */
  next(skip, generation) {
    const spare = this.#spare.pop();
    return this.call("next", { skip, spare }, generation, spare ? [spare] : []);
  }

  /** Give the memory of a picture back. */
  recycle(buffer) {
    if (this.#closed || this.#spare.length === MOST_SPARE) release(buffer);
    else this.#spare.push(buffer);
  }

  close() {
    this.#closed = true;
    this.#worker.terminate();
    this.#fail(new NrvError("closed", "The decoder was closed."));
  }

  #answer({ id, result, error }) {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error) call?.reject(new NrvError(error.kind, error.message, error.clause, error.offset));
    else call?.resolve(result);
  }

  #fail(error) {
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }
}
