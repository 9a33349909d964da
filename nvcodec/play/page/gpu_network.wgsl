// The fusion network (spec/nrv.md, clause 9). All arithmetic is that of signed 32-bit integers, which the
// text keeps every sum within; so frames are those of any other decoder.
//
// Rows of sites are computed in strips: `first` is the row of the grid that row 0 of the buffers of a
// strip is. Buffers of channels and units hold pairs of 16-bit values: [pair][row][column].

struct Strip {
  width: i32,  // of the grid, in sites
  height: i32,
  first: i32,
  rows: i32,   // of the buffers
  begin: i32,  // rows of the grid that the strip renders
  end: i32,
  format: i32, // chroma_format
  extra: u32,  // bit_depth - 8
}

override KERNEL: i32 = 1;
override PAIRS: i32 = 1; // of inputs of a hidden layer; of units that the output layer takes
override SHIFT: u32 = 0;

const CHANNEL_PAIRS = 9;
const NEAR_PAIRS = 3; // of them those of `a`

@group(0) @binding(0) var<uniform> strip: Strip;
@group(0) @binding(1) var<storage, read> canvas: array<u32>;
@group(0) @binding(2) var<storage, read> warps: array<u32>;
@group(0) @binding(3) var<storage, read> quantisers: array<vec4<i32>>; // RECIPROCAL, RECIPROCAL of chroma, STEP, STEP
@group(0) @binding(4) var<storage, read_write> made: array<u32>;
@group(0) @binding(5) var<storage, read> channels: array<u32>;
@group(0) @binding(6) var<storage, read> units: array<u32>;
@group(0) @binding(7) var<storage, read> weights: array<vec4<i32>>; // see packed() of gpu_network.js

fn rounded(value: i32, shift: u32) -> i32 {
  return (value + ((1i << shift) >> 1u)) >> shift;
}

fn canvas_at(at: i32) -> i32 {
  return i32((canvas[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu);
}

fn warp_at(at: i32) -> i32 {
  return i32((warps[at >> 1u] >> (16u * u32(at & 1))) & 0xffffu);
}

fn even(pair: u32) -> i32 { return i32(pair << 16u) >> 16u; }
fn odd(pair: u32) -> i32 { return i32(pair) >> 16u; }

fn pair_of(first: i32, second: i32) -> u32 {
  return (u32(first) & 0xffffu) | (u32(second) << 16u);
}

fn quantiser(y: i32, x: i32) -> vec4<i32> {
  return quantisers[(y >> 2u) * (strip.width >> 2u) + (x >> 2u)];
}

/// Samples of a plane of chroma.
fn chroma_size() -> i32 {
  return strip.width * strip.height * select(strip.format, 4, strip.format == 3);
}

/// Samples of all planes.
fn all_samples() -> i32 {
  return 4 * strip.width * strip.height + 2 * chroma_size();
}

/// The first sample of a plane of chroma that belongs to a site (9.1).
fn chroma_place(plane: i32, y: i32, x: i32) -> i32 {
  let base = 4 * strip.width * strip.height + plane * chroma_size();
  switch strip.format {
    case 1: { return base + y * strip.width + x; }
    case 2: { return base + 2 * y * strip.width + x; }
    default: { return base + 4 * y * strip.width + 2 * x; }
  }
}

fn canvas_chroma(plane: i32, y: i32, x: i32) -> i32 {
  let at = chroma_place(plane, y, x);
  let next = at + 2 * strip.width;
  switch strip.format {
    case 1: { return canvas_at(at); }
    case 2: { return (canvas_at(at) + canvas_at(at + strip.width) + 1) >> 1u; }
    default: { return (canvas_at(at) + canvas_at(at + 1) + canvas_at(next) + canvas_at(next + 1) + 2) >> 2u; }
  }
}

fn warp_chroma(reference: i32, plane: i32, y: i32, x: i32) -> i32 {
  let at = reference * all_samples() + chroma_place(plane, y, x);
  let next = at + 2 * strip.width;
  switch strip.format {
    case 1: { return warp_at(at); }
    case 2: { return (warp_at(at) + warp_at(at + strip.width) + 1) >> 1u; }
    default: { return (warp_at(at) + warp_at(at + 1) + warp_at(next) + warp_at(next + 1) + 2) >> 2u; }
  }
}

fn high_pass(sample: i32, box: i32, reciprocal: i32) -> i32 {
  return clamp(rounded(rounded(25 * sample - box, strip.extra) * reciprocal, 15u), -4095, 4095);
}

fn difference(warp: i32, sample: i32, reciprocal: i32) -> i32 {
  return clamp(rounded((warp - sample) * reciprocal, 10u + strip.extra), -4095, 4095);
}

/// 9.3: from canvas, warps and quantisers the channels of a site, to `made`.
@compute @workgroup_size(16, 4)
fn inputs(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = i32(id.x);
  let row = i32(id.y);
  let y = strip.first + row;
  if (x >= strip.width || row >= strip.rows) { return; }
  var channel: array<i32, 18>;
  if (y >= 0 && y < strip.height) {
    let reciprocal = quantiser(y, x);
    let width = 2 * strip.width;
    for (var p = 0; p < 4; p++) {
      let line = 2 * y + (p >> 1u);
      let column = 2 * x + (p & 1);
      var box = 0;
      for (var dy = -2; dy <= 2; dy++) {
        let start = clamp(line + dy, 0, 2 * strip.height - 1) * width;
        for (var dx = -2; dx <= 2; dx++) { box += canvas_at(start + clamp(column + dx, 0, width - 1)); }
      }
      let at = line * width + column;
      let sample = canvas_at(at);
      channel[p] = high_pass(sample, box, reciprocal.x);
      for (var r = 0; r < 2; r++) {
        channel[6 + 6 * r + p] = difference(warp_at(r * all_samples() + at), sample, reciprocal.x);
      }
    }
    if (strip.format != 0) {
      for (var p = 0; p < 2; p++) {
        var box = 0;
        for (var dy = -2; dy <= 2; dy++) {
          for (var dx = -2; dx <= 2; dx++) {
            box += canvas_chroma(p, clamp(y + dy, 0, strip.height - 1), clamp(x + dx, 0, strip.width - 1));
          }
        }
        let sample = canvas_chroma(p, y, x);
        channel[4 + p] = high_pass(sample, box, reciprocal.y);
        for (var r = 0; r < 2; r++) {
          channel[10 + 6 * r + p] = difference(warp_chroma(r, p, y, x), sample, reciprocal.y);
        }
      }
    }
  }
  for (var k = 0; k < CHANNEL_PAIRS; k++) {
    made[(k * strip.rows + row) * strip.width + x] = pair_of(channel[2 * k], channel[2 * k + 1]);
  }
}

/// 9.4: eight units of a hidden layer at a site, from `units`, or `channels` by that name, to `made`.
@compute @workgroup_size(16, 4)
fn hidden(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = i32(id.x);
  let row = i32(id.y);
  let block = i32(id.z);
  if (x >= strip.width || row >= strip.rows) { return; }
  let y = strip.first + row;
  let half = KERNEL / 2;
  let plane = strip.rows * strip.width;
  var at = block * (2 + 4 * KERNEL * KERNEL * PAIRS);
  var low = weights[at];
  var high = weights[at + 1];
  at += 2;
  for (var ky = -half; ky <= half; ky++) {
    for (var kx = -half; kx <= half; kx++) {
      let inside = x + kx >= 0 && x + kx < strip.width && row + ky >= 0 && row + ky < strip.rows;
      let place = select(0, (row + ky) * strip.width + x + kx, inside);
      for (var k = 0; k < PAIRS; k++) {
        let pair = select(0u, units[k * plane + place], inside);
        low += weights[at] * even(pair) + weights[at + 2] * odd(pair);
        high += weights[at + 1] * even(pair) + weights[at + 3] * odd(pair);
        at += 4;
      }
    }
  }
  var out = array<i32, 8>(low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w);
  for (var k = 0; k < 8; k++) {
    let v = rounded(out[k], SHIFT);
    out[k] = select(0, clamp(max(v, v >> 3u), -4095, 4095), y >= 0 && y < strip.height);
  }
  for (var k = 0; k < 4; k++) {
    made[(4 * block + k) * plane + row * strip.width + x] = pair_of(out[2 * k], out[2 * k + 1]);
  }
}

/// 9.4, 9.5: the samples of a site but for the clip, four of luma, then Cb and Cr.
fn samples(y: i32, x: i32) -> array<i32, 6> {
  let row = y - strip.first;
  let plane = strip.rows * strip.width;
  let here = row * strip.width + x;
  var luma = weights[0];
  var chroma = weights[1];
  var at = 2;
  for (var ky = -1; ky <= 1; ky++) {
    for (var kx = -1; kx <= 1; kx++) {
      let inside = x + kx >= 0 && x + kx < strip.width && row + ky >= 0 && row + ky < strip.rows;
      let place = select(0, here + ky * strip.width + kx, inside);
      for (var k = 0; k < NEAR_PAIRS; k++) {
        let pair = select(0u, channels[k * plane + place], inside);
        luma += weights[at] * even(pair) + weights[at + 2] * odd(pair);
        chroma += weights[at + 1] * even(pair) + weights[at + 3] * odd(pair);
        at += 4;
      }
    }
  }
  for (var k = NEAR_PAIRS; k < CHANNEL_PAIRS + PAIRS; k++) {
    var pair: u32;
    if (k < CHANNEL_PAIRS) {
      pair = channels[k * plane + here];
    } else {
      pair = units[(k - CHANNEL_PAIRS) * plane + here];
    }
    luma += weights[at] * even(pair) + weights[at + 2] * odd(pair);
    chroma += weights[at + 1] * even(pair) + weights[at + 3] * odd(pair);
    at += 4;
  }
  let step = quantiser(y, x).zw;
  var found = array<i32, 6>(luma.x, luma.y, luma.z, luma.w, chroma.x, chroma.y);
  for (var p = 0; p < 6; p++) {
    let c = clamp(rounded(found[p], SHIFT), -16383, 16383);
    found[p] = rounded(c * select(step.y, step.x, p < 4), 16u - strip.extra);
  }
  return found;
}

fn clipped(sample: i32) -> i32 {
  return clamp(sample, 0, (256i << strip.extra) - 1);
}

/// 9.5: samples of two sites, to `made`: luma, and chroma where it is 4:2:0.
@compute @workgroup_size(16, 4)
fn output(@builtin(global_invocation_id) id: vec3<u32>) {
  let x = 2 * i32(id.x);
  let y = strip.begin + i32(id.y);
  if (x >= strip.width || y >= strip.end) { return; }
  var left = samples(y, x);
  var right = samples(y, x + 1);
  for (var r = 0; r < 2; r++) {
    let at = (2 * y + r) * 2 * strip.width + 2 * x;
    made[at >> 1u] =
      pair_of(clipped(canvas_at(at) + left[2 * r]), clipped(canvas_at(at + 1) + left[2 * r + 1]));
    made[(at >> 1u) + 1] =
      pair_of(clipped(canvas_at(at + 2) + right[2 * r]), clipped(canvas_at(at + 3) + right[2 * r + 1]));
  }
  if (strip.format == 1) {
    for (var p = 0; p < 2; p++) {
      let at = chroma_place(p, y, x);
      made[at >> 1u] = pair_of(clipped(canvas_at(at) + left[4 + p]), clipped(canvas_at(at + 1) + right[4 + p]));
    }
  }
}
