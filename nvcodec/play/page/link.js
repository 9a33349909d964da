// A worker that decodes, and the calls that wait for its answers.

import { NrvError } from "./decoder.js";
import { release } from "./store.js";

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

let module = null; // a promise of the module of all workers

export class Link {
  #worker;
  #calls = new Map();
  #last = 0;
  #closed = false;

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

  /** Give the memory of a picture back. */
  recycle(buffer) {
    if (this.#closed) release(buffer);
    else this.#worker.postMessage({ recycle: buffer }, [buffer]);
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
