"use strict";
// Three orthogonal views of a volume: wheel, arrow keys, sliders and clicks move through slices.

const AXES = ["D", "H", "W"];

// The colours of matplotlib's inferno, between which the heat is interpolated.
const HEAT = [[0, 0, 4], [40, 11, 84], [101, 21, 110], [159, 42, 99], [212, 72, 66], [245, 125, 21],
  [250, 193, 39], [252, 255, 164]];

function colour(heat) {
  const place = heat / 255 * (HEAT.length - 1), low = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[low].map((value, i) => value + (place - low) * (HEAT[low + 1][i] - value));
}

const COLOURS = Array.from({ length: 256 }, (_, heat) => colour(heat));

async function bytes(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Viewer {
  constructor(element, volume, voxels, heat) {
    this.shape = volume.shape;
    this.first = this.voxels = voxels;
    this.heat = heat;
    this.opacity = 0.7;
    this.place = [...volume.start];
    this.listeners = [];
    const views = document.createElement("div");
    views.className = "views";
    this.views = AXES.map((_, axis) => this.view(axis, views, element.dataset.name || "volume"));
    element.append(views);
    this.draw();
  }

  view(axis, parent, name) {
    const [down, across] = [0, 1, 2].filter((other) => other !== axis);
    const box = document.createElement("div"), canvas = document.createElement("canvas");
    const label = document.createElement("label"), slider = document.createElement("input");
    const text = document.createElement("span");
    box.className = "view";
    canvas.height = this.shape[down];
    canvas.width = this.shape[across];
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    slider.type = "range";
    slider.min = 1;
    slider.max = this.shape[axis];
    slider.setAttribute("aria-label", `${name}: slice along ${AXES[axis]}`);
    label.append(text, slider);
    box.append(canvas, label);
    parent.append(box);
    slider.addEventListener("input", () => this.move(axis, slider.value - 1));
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.move(axis, this.place[axis] + Math.sign(event.deltaY));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -5, PageDown: 5 };
      const ends = { Home: 0, End: this.shape[axis] - 1 };
      if (event.key in steps) this.move(axis, this.place[axis] + steps[event.key]);
      else if (event.key in ends) this.move(axis, ends[event.key]);
      else return;
      event.preventDefault();
    });
    canvas.addEventListener("click", (event) => {
      const frame = canvas.getBoundingClientRect();
      const scale = Math.min(frame.width / canvas.width, frame.height / canvas.height);
      const left = (frame.width - scale * canvas.width) / 2, top = (frame.height - scale * canvas.height) / 2;
      canvas.focus();
      this.move(across, Math.floor((event.clientX - frame.left - left) / scale));
      this.move(down, Math.floor((event.clientY - frame.top - top) / scale));
    });
    return { axis, down, across, canvas, slider, text, name };
  }

  move(axis, place) {
    const to = Math.max(0, Math.min(this.shape[axis] - 1, Math.round(place)));
    if (to === this.place[axis]) return;
    this.place[axis] = to;
    this.draw();
    this.listeners.forEach((listener) => listener(this.place));
  }

  draw() {
    for (const { axis, down, across, canvas, slider, text, name } of this.views) {
      const context = canvas.getContext("2d");
      const image = context.createImageData(canvas.width, canvas.height);
      const steps = [this.shape[1] * this.shape[2], this.shape[2], 1];
      for (let row = 0; row < canvas.height; row++) {
        for (let column = 0; column < canvas.width; column++) {
          const index = this.place[axis] * steps[axis] + row * steps[down] + column * steps[across];
          const grey = this.voxels[index], heat = this.heat ? this.heat[index] : 0;
          const share = this.opacity * Math.sqrt(heat / 255), over = COLOURS[heat];
          const at = 4 * (row * canvas.width + column);
          for (let i = 0; i < 3; i++) image.data[at + i] = (1 - share) * grey + share * over[i];
          image.data[at + 3] = 255;
        }
      }
      context.putImageData(image, 0, 0);
      const where = `${AXES[axis]}: slice ${this.place[axis] + 1} of ${this.shape[axis]}`;
      slider.value = this.place[axis] + 1;
      text.textContent = where;
      canvas.setAttribute("aria-label", `${name}, ${where}; arrow keys change the slice`);
    }
  }
}

// All maps show the same place; where there are slabs, the depth moves the cursor in the plot.
function follow(root, viewers, slabs) {
  const cursor = root.querySelector(".cursor"), slider = root.querySelector("[data-slab]");
  const text = root.querySelector("[data-step]"), strengths = root.querySelectorAll("[data-opacity]");
  const show = (place) => {
    if (!slabs.length) return;
    let step = 0;
    slabs.forEach(([first], number) => { if (first <= place[0]) step = number; });
    const x = cursor.dataset.left - -step * cursor.dataset.gap;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    slider.value = step + 1;
    text.textContent = `slab ${step + 1} of ${slabs.length}`;
    root.querySelectorAll("tr[data-row]").forEach((row) => {
      row.classList.toggle("ours", Number(row.dataset.row) === step);
    });
  };
  viewers.forEach((viewer) => viewer.listeners.push((place) => {
    viewers.forEach((other) => place.forEach((value, axis) => other.move(axis, value)));
    show(place);
  }));
  if (slider) slider.addEventListener("input", () => {
    const [first, last] = slabs[slider.value - 1];
    viewers[0].move(0, Math.floor((first + last) / 2));
  });
  strengths.forEach((strength) => strength.addEventListener("input", () => {
    strengths.forEach((other) => { other.value = strength.value; });
    viewers.forEach((viewer) => {
      viewer.opacity = strength.value / 100;
      viewer.draw();
    });
  }));
  show(viewers[0].place);
}

// Of several channels one lies under the maps.
function choose(root, viewers, channels) {
  root.querySelector("[data-channel]")?.addEventListener("change", (event) => viewers.forEach((viewer) => {
    viewer.voxels = channels[event.target.value] || viewer.first;
    viewer.draw();
  }));
}

async function start(root, data) {
  const viewers = [];
  for (const element of root.querySelectorAll("[data-volume]")) {
    const volume = data.volumes[element.dataset.volume];
    const voxels = await bytes(volume.voxels);
    viewers.push(new Viewer(element, volume, voxels, volume.heat && await bytes(volume.heat)));
  }
  if (data.slabs) follow(root, viewers, data.slabs);
  const others = await Promise.all((data.channels || []).map(bytes));
  choose(root, viewers, [null, ...others]);
  root.dataset.ready = "yes";
}
