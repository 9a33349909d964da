// The page: controls around a Playback.

import { clock, facts } from "./facts.js";
import { collectSometimes } from "./memory.js";
import { NrvDecoder } from "./nrv.js";
import { Playback } from "./playback.js";
import { Renderer } from "./renderer.js";
import { Sound, canHear } from "./sound.js";
import { Strip } from "./strip.js";

const WAITS_BEFORE_CANVASES = 2;
const WITHIN_MS = 8000;
const WAITED_MS = 50; // a longer wait for bytes is no fault of the network of the codec
const CLICK = "The browser lets sound begin after a click.";
const SMALLEST_REGION = 0.02;
const ASKED = new URLSearchParams(location.search);
const GPU = { any: "any", off: false }[ASKED.get("gpu")] ?? true;

const get = (id) => document.getElementById(id);
const stage = get("stage");
const strip = new Strip(get("strip"));

let renderer = null;
let playback = null;
let sound = null;
let early = null; // packets that come before it is known which tracks can be heard
let chosenNetwork = null; // what the user wants; null leaves it to the page
let waits = [];

function fail(error) {
  const known = error.name === "NrvError" || error.kind;
  const text = known ? error.message : `The file cannot be played: ${error.message}`;
  get("error").textContent = text;
  get("error").hidden = false;
  get("hint").hidden = true;
}

function note(text) {
  get("note").textContent = text;
}

function open(source, name) {
  close();
  get("error").hidden = true;
  get("hint").hidden = true;
  get("name").textContent = name;
  document.title = name;
  note("Loading");
  if (chosenNetwork === null) get("network").checked = true;
  // Its workers start while the renderer is made.
  const decoder = new NrvDecoder(source, { network: get("network").checked, gpu: GPU });
  try {
    renderer ??= new Renderer(get("picture"), () => playback?.redraw());
  } catch (error) {
    decoder.close();
    note("");
    fail(error);
    return;
  }
  const opened = new Playback(decoder, renderer);
  playback = opened;
  playback.speed = Number(get("speed").value);
  const on = (type, act) => opened.addEventListener(type, ({ detail }) => act(detail));
  on("open", begin);
  on("picture", shown);
  on("state", showState);
  on("group", (group) => {
    strip.add(group);
    limitPlace();
  });
  on("packets", (packets) => (sound ? sound.add(packets) : early?.push(packets)));
  on("clock", (media) => sound?.start(media, opened.speed));
  on("tick", (media) => sound?.update(media));
  on("late", tooSlow);
  on("fallback", (reason) => {
    note(`WebGPU does not run the network (${reason}): WebAssembly does.`);
    opened.spread();
  });
  on("sought", () => {
    sound?.clear();
    get("error").hidden = true;
  });
  on("failed", (error) => {
    note("");
    fail(error);
    showState();
  });
}

/** Open the file that the address of the page names, if it does. */
function openNamed(file) {
  if (!file) return;
  if (!URL.canParse(file, document.baseURI)) {
    fail(new Error(`${file} is no address.`));
    return;
  }
  const url = new URL(file, document.baseURI);
  const name = url.pathname.split("/").pop();
  try {
    open(url.href, decodeURIComponent(name) || url.href);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    open(url.href, name);
  }
}

function close() {
  playback?.close();
  playback = null;
  sound?.close();
  sound = null;
  waits = [];
  early = [];
  get("about").hidden = true;
  get("legend").hidden = true;
  get("sound-label").hidden = true;
  strip.begin(null);
  whole();
}

async function begin() {
  const { decoder } = playback;
  const { info, tracks } = decoder;
  strip.begin(info.frameCount);
  limitPlace();
  get("network-label").hidden = !info.network;
  get("facts").textContent = facts(decoder).join("\n");
  get("about").hidden = false;
  get("legend").hidden = false;
  note("");
  offerSound(tracks);
  playback.play();
}

async function offerSound(tracks) {
  const mine = playback;
  const heard = [];
  for (const track of tracks) if (await canHear(track)) heard.push(track);
  if (playback !== mine) return;
  const audio = tracks.filter(({ kind }) => kind === "audio");
  if (audio.length && !heard.length) note("The browser does not decode the sound of this file.");
  const choice = get("sound");
  choice.replaceChildren(new Option("off", ""));
  for (const { number, codec, language, title } of heard) {
    const name = [number, language, title || codec].filter(Boolean).join(" ");
    choice.append(new Option(name, number));
  }
  get("sound-label").hidden = !heard.length;
  choice.onchange = () => {
    sound?.close();
    const track = heard.find(({ number }) => String(number) === choice.value);
    sound = track ? new Sound(track) : null;
    // Packets that were met before come again.
    if (sound && playback) playback.seek(Math.max(0, playback.frame));
  };
  if (heard.length) {
    choice.value = heard[0].number;
    sound = new Sound(heard[0]);
    for (const packets of early) sound.add(packets);
    if (sound.blocked) note(CLICK);
  }
  early = null;
}

async function listGroups(mine) {
  try {
    const groups = await mine.decoder.groups();
    if (playback !== mine) return;
    strip.index(groups, mine.decoder.info.frameCount, mine.decoder.size ?? 0);
    limitPlace();
  } catch {
    // The strip then shows what has been played.
  }
}

function limitPlace() {
  const count = playback?.decoder.info?.frameCount ?? strip.frames;
  get("place").max = Math.max(0, count - 1);
}

function shown({ index, timestamp, network, gpu }) {
  collectSometimes();
  if (!playback.listed) {
    playback.listed = true;
    if (playback.decoder.random) listGroups(playback);
  }
  get("place").value = index;
  get("time").textContent = clock(timestamp);
  document.body.dataset.frame = index;
  document.body.dataset.network = network;
  document.body.dataset.gpu = gpu;
  get("network-by").textContent = !network ? "" : gpu ? "(WebGPU)" : "(WebAssembly)";
  strip.frame = index;
}

function showState() {
  const state = !playback ? "empty" : playback.waiting ? "waiting" : playback.playing ? "playing"
    : "paused";
  document.body.dataset.state = state;
  get("play").textContent = playback?.playing ? "Pause" : "Play";
  if (!playback?.playing || playback.waiting) sound?.stop();
}

/** Where the network is too slow, show pictures without it, and say so. */
function tooSlow(waited) {
  const { decoder } = playback;
  if (waited > WAITED_MS) return;
  if (!decoder.info.network || !decoder.network || chosenNetwork) return;
  if (decoder.gpu && !playback.gpu) return; // WebGPU is not ready yet
  const now = performance.now();
  waits = [...waits.filter((then) => now - then < WITHIN_MS), now];
  if (waits.length < WAITS_BEFORE_CANVASES) return;
  setNetwork(false);
  note("This machine is too slow for the network here: pictures are shown without it.");
}

function setNetwork(on) {
  get("network").checked = on;
  if (!playback) return;
  playback.setNetwork(on);
}

function toggle() {
  if (!playback) return;
  if (playback.playing) playback.pause();
  else playback.play();
}

function region(view) {
  renderer.view = view;
  get("whole").hidden = view.width === 1 && view.height === 1;
  current = view;
}

let current = { x: 0, y: 0, width: 1, height: 1 };

function whole() {
  if (renderer) region({ x: 0, y: 0, width: 1, height: 1 });
}

/** A region is marked by dragging over the picture. */
function marking() {
  const canvas = get("picture");
  const marked = get("marked");
  let from = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect();
    const clip = (value) => Math.min(1, Math.max(0, value));
    return [
      clip((event.clientX - box.left) / box.width), clip((event.clientY - box.top) / box.height),
    ];
  };
  const corners = (event) => {
    const [x, y] = at(event);
    // The region has the shape of the picture.
    const size = Math.max(Math.abs(x - from[0]), Math.abs(y - from[1]));
    const left = Math.max(0, x < from[0] ? from[0] - size : from[0]);
    const top = Math.max(0, y < from[1] ? from[1] - size : from[1]);
    return { x: left, y: top, size: Math.min(size, 1 - left, 1 - top) };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (!playback) return;
    from = at(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const { x, y, size } = corners(event);
    const box = canvas.getBoundingClientRect();
    const outer = stage.getBoundingClientRect();
    marked.hidden = size < SMALLEST_REGION;
    marked.style.left = `${box.left - outer.left + x * box.width}px`;
    marked.style.top = `${box.top - outer.top + y * box.height}px`;
    marked.style.width = `${size * box.width}px`;
    marked.style.height = `${size * box.height}px`;
  });
  canvas.addEventListener("pointerup", (event) => {
    if (!from) return;
    const { x, y, size } = corners(event);
    from = null;
    marked.hidden = true;
    if (size < SMALLEST_REGION) {
      toggle();
      return;
    }
    region({
      x: current.x + x * current.width,
      y: current.y + y * current.height,
      width: size * current.width,
      height: size * current.height,
    });
  });
  canvas.addEventListener("pointercancel", () => {
    from = null;
    marked.hidden = true;
  });
}

function dropping() {
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    stage.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => stage.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) open(file, file.name);
  });
  get("open").addEventListener("change", ({ target }) => {
    const [file] = target.files;
    if (file) open(file, file.name);
    target.value = "";
  });
}

function keys() {
  const acts = {
    " ": toggle,
    ArrowLeft: () => playback?.step(-1),
    ArrowRight: () => playback?.step(1),
    f: fullScreen,
    n: () => get("network").click(),
    Escape: whole,
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, button, summary")) return;
    const act = acts[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
}

/** Browsers want a click or a key before sound. */
function unblocking() {
  for (const type of ["pointerdown", "keydown"]) {
    document.addEventListener(type, () => {
      if (!sound?.blocked) return;
      sound.unblock();
      if (get("note").textContent === CLICK) note("");
    });
  }
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else stage.requestFullscreen().catch(() => note("This browser shows no full screen."));
}

function controls() {
  get("play").addEventListener("click", toggle);
  get("back").addEventListener("click", () => playback?.step(-1));
  get("forward").addEventListener("click", () => playback?.step(1));
  get("place").addEventListener("input", ({ target }) => playback?.seek(Number(target.value)));
  get("speed").addEventListener("change", ({ target }) => {
    if (playback) playback.speed = Number(target.value);
  });
  get("network").addEventListener("change", ({ target }) => {
    chosenNetwork = target.checked;
    note("");
    setNetwork(target.checked);
  });
  get("whole").addEventListener("click", whole);
  get("full").addEventListener("click", fullScreen);
  get("strip").addEventListener("click", ({ offsetX, target }) => {
    if (playback && strip.frames) playback.seek(strip.frameAt(offsetX / target.clientWidth));
  });
}

get("hint").textContent = "Drop a .nrv file here.";
controls();
marking();
dropping();
unblocking();
keys();
showState();
openNamed(ASKED.get("file"));
