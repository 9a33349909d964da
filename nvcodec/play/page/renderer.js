// Draws pictures with WebGL 2 in the colours that the file means.
//
// Samples become R'G'B' by matrix and range. SDR with the primaries of sRGB is shown as it is, as
// other players do; other primaries are converted in linear light. PQ and HLG are tone-mapped.

import { NrvError } from "./decoder.js";
import { displaySize, meaning } from "./picture.js";

const VERTEX = `#version 300 es
in vec2 corner;
uniform vec4 view; // x, y, width, height of the region in picture coordinates 0..1
out vec2 place;
void main() {
  place = view.xy + view.zw * vec2(0.5 + 0.5 * corner.x, 0.5 - 0.5 * corner.y);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D luma, cb, cr;
uniform vec2 scale;       // of the two bytes of a sample, to 0..1
uniform vec2 size;        // luma samples
uniform vec2 sub;         // luma samples of a chroma sample
uniform vec2 chromaSize;
uniform vec2 chromaAt;    // place of a chroma sample among its luma samples
uniform vec4 range;       // offset and factor of luma, then of chroma
uniform mat3 matrix;      // Y'CbCr to R'G'B'
uniform mat3 primaries;   // linear light to that of sRGB
uniform int colour;       // 0 grey, 1 Y'CbCr
uniform int transfer;     // H.273, 0: as it is
uniform float peak;       // nominal peak of a PQ picture in cd/m2
in vec2 place;
out vec4 shown;

float at(sampler2D plane, vec2 where) { return dot(texture(plane, where).rg, scale); }

vec3 linear(vec3 v) {
  if (transfer == 16) { // PQ, 1 is 203 cd/m2
    vec3 p = pow(clamp(v, 0.0, 1.0), vec3(1.0 / 78.84375));
    vec3 l = pow(max(p - 0.8359375, 0.0) / (18.8515625 - 18.6875 * p), vec3(1.0 / 0.1593017578125));
    return l * 10000.0 / 203.0;
  }
  if (transfer == 18) { // HLG with the gamma of a display of 1000 cd/m2, 0.75 is 203 cd/m2
    vec3 c = clamp(v, 0.0, 1.0);
    vec3 s = mix(c * c / 3.0, (exp((c - 0.55991073) / 0.17883277) + 0.28466892) / 12.0,
                 step(vec3(0.5), c));
    float y = dot(s, vec3(0.2627, 0.6780, 0.0593));
    return s * pow(max(y, 1e-6), 0.2) * 1000.0 / 203.0;
  }
  if (transfer == 8) return v;
  if (transfer == 4) return pow(max(v, 0.0), vec3(2.2));
  if (transfer == 5) return pow(max(v, 0.0), vec3(2.8));
  return mix(v / 12.92, pow((max(v, 0.0) + 0.055) / 1.055, vec3(2.4)), step(vec3(0.04045), v));
}

vec3 mapped(vec3 l) { // up to KNEE as it is, highlights to 1; colours kept
  const float KNEE = 0.6;
  float most = max(max(l.r, l.g), max(l.b, 1e-6));
  float rest = 1.0 - KNEE;
  float top = 1.0 - exp((KNEE - peak / 203.0) / rest);
  float to = most < KNEE ? most : KNEE + rest * (1.0 - exp((KNEE - most) / rest)) / top;
  return l * to / most;
}

vec3 encoded(vec3 l) {
  l = clamp(l, 0.0, 1.0);
  return mix(l * 12.92, 1.055 * pow(l, vec3(1.0 / 2.4)) - 0.055, step(vec3(0.0031308), l));
}

void main() {
  float y = (at(luma, place) - range.x) * range.y;
  vec3 v = vec3(y);
  if (colour == 1) {
    vec2 sampled = (place * size - 0.5 - chromaAt) / sub;
    vec2 where = (sampled + 0.5) / chromaSize;
    vec2 c = (vec2(at(cb, where), at(cr, where)) - range.z) * range.w;
    v = matrix * vec3(y, c);
  }
  if (transfer != 0) {
    v = primaries * linear(v);
    if (transfer == 16 || transfer == 18) v = mapped(max(v, 0.0));
    v = encoded(v);
  }
  shown = vec4(clamp(v, 0.0, 1.0), 1.0);
}`;

// Weights of red and blue in luma, by H.273 code point.
const LUMA_WEIGHTS = {
  1: [0.2126, 0.0722], 4: [0.3, 0.11], 5: [0.299, 0.114], 6: [0.299, 0.114], 7: [0.212, 0.087],
  9: [0.2627, 0.0593], 10: [0.2627, 0.0593],
};
const RGB = 0;
const YCGCO = 8;

// x and y of red, green, blue and white, by H.273 code point.
const CHROMATICITIES = {
  1: [0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329],
  4: [0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.31, 0.316],
  5: [0.64, 0.33, 0.29, 0.6, 0.15, 0.06, 0.3127, 0.329],
  6: [0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.329],
  7: [0.63, 0.34, 0.31, 0.595, 0.155, 0.07, 0.3127, 0.329],
  9: [0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329],
  11: [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351],
  12: [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329],
};
const SRGB = 1;
const CONVERTED = new Set([4, 5, 8, 16, 18]); // transfers that are not shown as they are

const SRGB_TRANSFER = 13;
const PQ_PEAK = 1000; // cd/m2, where the file names none

/** Chroma sample location types 0..5 of H.273: along x, along y. */
const LOCATIONS = [[0, 0.5], [0.5, 0.5], [0, 0], [0.5, 0], [0, 1], [0.5, 1]];

function inverse(m) {
  const [a, b, c, d, e, f, g, h, i] = m;
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    e * i - f * h, c * h - b * i, b * f - c * e,
    f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d,
  ].map((v) => v / det);
}

function times(m, n) {
  return [0, 3, 6].flatMap((r) => [0, 1, 2].map((c) =>
    m[r] * n[c] + m[r + 1] * n[3 + c] + m[r + 2] * n[6 + c]));
}

/** Rows of the matrix from linear RGB to XYZ. */
function toXyz([xr, yr, xg, yg, xb, yb, xw, yw]) {
  const columns = [[xr, yr], [xg, yg], [xb, yb]].map(([x, y]) => [x / y, 1, (1 - x - y) / y]);
  const m = [0, 1, 2].flatMap((row) => columns.map((column) => column[row]));
  const white = [xw / yw, 1, (1 - xw - yw) / yw];
  const inv = inverse(m);
  const weight = [0, 3, 6].map((r) => inv[r] * white[0] + inv[r + 1] * white[1] + inv[r + 2] * white[2]);
  return m.map((v, i) => v * weight[i % 3]);
}

/** Rows of the matrix from Y'CbCr to R'G'B'. */
export function colourMatrix(matrix) {
  if (matrix === RGB) return [0, 0, 1, 1, 0, 0, 0, 1, 0];
  if (matrix === YCGCO) return [1, -1, 1, 1, 1, 0, 1, -1, -1];
  const [kr, kb] = LUMA_WEIGHTS[matrix] ?? LUMA_WEIGHTS[1];
  const kg = 1 - kr - kb;
  return [
    1, 0, 2 - 2 * kr,
    1, (-2 * kb * (1 - kb)) / kg, (-2 * kr * (1 - kr)) / kg,
    1, 2 - 2 * kb, 0,
  ];
}

export class Renderer {
  #canvas;
  #gl;
  #uniforms = {};
  #textures;
  #info = null;
  #shape = "";
  #drawn = false;
  #hdr = null;
  #view = [0, 0, 1, 1];
  #mostSamples; // across and down a plane
  #mostShown; // width and height

  /** `again` is called when a picture that was drawn is lost. Throws Error where the browser has no
   * WebGL 2. */
  constructor(canvas, again = () => {}) {
    this.#canvas = canvas;
    const gl = canvas.getContext("webgl2", {
      alpha: false, antialias: false, preserveDrawingBuffer: true,
    });
    if (!gl) throw new Error("This browser has no WebGL 2, which the pictures are drawn with.");
    this.#gl = gl;
    this.#build();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.#build();
      if (!this.#info) return;
      this.begin(this.#info, this.#hdr);
      again();
    });
  }

  /** Set up for the pictures of a file. */
  begin(info, hdr = null) {
    this.#info = info;
    this.#hdr = hdr;
    this.#shape = "";
    this.#drawn = false;
    const gl = this.#gl;
    const { matrix, primaries, transfer, full } = meaning(info);
    const depth = info.bitDepth;
    const top = 2 ** depth - 1;
    const step = 2 ** (depth - 8);
    const to = (name) => this.#uniforms[name];
    gl.uniform2f(to("scale"), depth > 8 ? 255 / top : 1, depth > 8 ? (255 * 256) / top : 0);
    const middle = matrix === RGB ? 0 : 2 ** (depth - 1) / top;
    const chromaOffset = matrix === RGB && !full ? (16 * step) / top : middle;
    const chromaFactor = full ? 1 : top / ((matrix === RGB ? 219 : 224) * step);
    gl.uniform4f(
      to("range"), full ? 0 : (16 * step) / top, full ? 1 : top / (219 * step),
      chromaOffset, chromaFactor,
    );
    gl.uniformMatrix3fv(to("matrix"), true, colourMatrix(matrix));
    gl.uniform2f(to("sub"), info.subX, info.subY);
    const [x, y] = LOCATIONS[info.chromaLocation] ?? LOCATIONS[0];
    gl.uniform2f(to("chromaAt"), info.subX > 1 ? x : 0, info.subY > 1 ? y : 0);
    gl.uniform1i(to("colour"), info.planes === 3 ? 1 : 0);
    const known = CHROMATICITIES[primaries] ?? CHROMATICITIES[SRGB];
    const same = known === CHROMATICITIES[SRGB];
    const convert = CONVERTED.has(transfer) ? transfer : same ? 0 : SRGB_TRANSFER;
    gl.uniform1i(to("transfer"), convert);
    gl.uniformMatrix3fv(
      to("primaries"), true, times(inverse(toXyz(CHROMATICITIES[SRGB])), toXyz(known)),
    );
    const peak = transfer === 18 ? 1000 : hdr?.maxCll || hdr?.maxLuminance || PQ_PEAK;
    gl.uniform1f(to("peak"), Math.max(peak, 203));
  }

  /** The part of pictures that is shown: {x, y, width, height} within 0..1. */
  set view({ x, y, width, height }) {
    this.#view = [x, y, width, height];
    if (this.#drawn) this.#show();
  }

  /** Throws NrvError where the pictures are larger than the browser draws. */
  draw(picture) {
    const gl = this.#gl;
    const { width, height } = picture;
    if (Math.max(width, height) > this.#mostSamples) {
      throw new NrvError(
        "unsupported",
        `The pictures have ${width} × ${height} samples; this browser draws ${this.#mostSamples}` +
          " across and down at most.",
      );
    }
    const deep = picture.bitDepth > 8;
    const shape = `${width} ${height}`;
    const fresh = shape !== this.#shape;
    if (fresh) {
      this.#shape = shape;
      const [shownWidth, shownHeight] = displaySize(
        width, height, this.#info, this.#mostShown,
      );
      this.#canvas.width = shownWidth;
      this.#canvas.height = shownHeight;
      gl.viewport(0, 0, shownWidth, shownHeight);
      gl.uniform2f(this.#uniforms.size, width, height);
    }
    const bytes = new Uint8Array(picture.buffer);
    picture.planes.forEach(({ offset, stride, rows }, k) => {
      const across = deep ? stride / 2 : stride;
      const [inside, format] = deep ? [gl.RG8, gl.RG] : [gl.R8, gl.RED];
      gl.activeTexture(gl.TEXTURE0 + k);
      gl.bindTexture(gl.TEXTURE_2D, this.#textures[k]);
      if (fresh) gl.texImage2D(gl.TEXTURE_2D, 0, inside, across, rows, 0, format, gl.UNSIGNED_BYTE, null);
      const part = bytes.subarray(offset, offset + stride * rows);
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, across, rows, format, gl.UNSIGNED_BYTE, part);
      if (k === 1) gl.uniform2f(this.#uniforms.chromaSize, across, rows);
    });
    this.#drawn = true;
    this.#show();
  }

  #show() {
    const gl = this.#gl;
    gl.uniform4f(this.#uniforms.view, ...this.#view);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  #build() {
    const gl = this.#gl;
    this.#mostSamples = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    this.#mostShown = gl.getParameter(gl.MAX_VIEWPORT_DIMS);
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
        throw new Error(`The pictures cannot be drawn: ${gl.getShaderInfoLog(shader)}`);
      }
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS) ?? 0;
    for (let i = 0; i < count; i++) {
      const { name } = gl.getActiveUniform(program, i);
      this.#uniforms[name] = gl.getUniformLocation(program, name);
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.#textures = [0, 1, 2].map((k) => {
      const texture = gl.createTexture();
      gl.activeTexture(gl.TEXTURE0 + k);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      for (const [name, value] of [
        [gl.TEXTURE_MIN_FILTER, gl.LINEAR], [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
        [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
      ]) {
        gl.texParameteri(gl.TEXTURE_2D, name, value);
      }
      return texture;
    });
    ["luma", "cb", "cr"].forEach((name, k) => gl.uniform1i(this.#uniforms[name], k));
  }
}
