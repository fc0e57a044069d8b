"use strict";
(function () {
  // Sorting: a click or Enter on a heading, the other way at the second.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const numeric = head.classList.contains("num");
      const before = head.getAttribute("aria-sort");
      const up = before ? before === "descending" : !numeric;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.v;
      const order = (a, b) => {
        if (a === "" || b === "") return (a === "") - (b === "");
        const x = Number(a), y = Number(b);
        const both = !Number.isNaN(x) && !Number.isNaN(y);
        return (up ? 1 : -1) * (both ? x - y : a.localeCompare(b, "en", { numeric: true }));
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => order(value(a), value(b)));
      table.tBodies[0].append(...rows);
      const said = document.getElementById("sorted");
      if (said) said.textContent = "Sorted by " + head.textContent + (up ? ", ascending" : ", descending");
    }));
  }

  // One switch between layers for panels and map.
  const chosen = (name, otherwise) => {
    const input = document.querySelector('input[name="' + name + '"]:checked');
    return input ? input.value : otherwise;
  };
  const panels = [...document.querySelectorAll(".panel")];
  const layerSwitch = document.getElementById("layer-switch");
  const showPanel = () => panels.forEach((panel) => { panel.hidden = panel.dataset.layer !== chosen("layer", "0"); });
  if (layerSwitch) {
    layerSwitch.hidden = layerSwitch.querySelectorAll("input").length < 2;
    showPanel();
  }

  // The evidence is shown in all panels or in none.
  const looks = [...document.querySelectorAll(".show-evidence")];
  looks.forEach((look) => look.addEventListener("change", () => looks.forEach((other) => { other.checked = look.checked; })));

  const source = document.getElementById("data");
  const box = document.getElementById("map");
  if (!source || !box) {
    document.addEventListener("change", showPanel);
    return;
  }
  const data = JSON.parse(source.textContent);
  const svg = box.querySelector("svg");
  const points = [...svg.querySelectorAll("use")];
  const tip = document.getElementById("tip");
  const said = document.getElementById("map-said");
  document.getElementById("map-controls").hidden = false;
  const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  ring.setAttribute("class", "here");
  ring.setAttribute("r", "9");
  ring.setAttribute("visibility", "hidden");
  svg.append(ring);
  let layer = null, places = [], here = -1;

  const draw = () => {
    const found = data.layers[Number(chosen("layer", "0"))];
    svg.classList.toggle("absent-layer", !found);
    if (!found) return;
    layer = found;
    places = (chosen("layout", "tsne") === "tsne" && layer.tsne) || layer.pca;
    const byError = chosen("colour", "class") === "error";
    svg.classList.toggle("by-error", byError);
    const moved = [];
    points.forEach((point, i) => {
      point.setAttribute("x", places[2 * i] / 10);
      point.setAttribute("y", places[2 * i + 1] / 10);
      const label = data.labels[i], mark = label < 0 ? -1 : data.marks[label];
      const scored = layer.predicted[i] >= 0, wrong = scored && layer.predicted[i] !== label;
      point.classList.toggle("is-wrong", wrong);
      point.classList.toggle("is-right", scored && !wrong);
      point.classList.toggle("is-unscored", !scored);
      point.setAttribute("href", "#m" + (byError ? (wrong ? data.cross : 0) : Math.max(mark, 0)));
      if (byError && wrong) moved.push(point);
    });
    // What is wrong is drawn last, over the rest.
    const order = byError ? [...points.filter((p) => !moved.includes(p)), ...moved] : points;
    svg.append(...order, ring);
    svg.setAttribute("aria-label", "Map of " + points.length + " pictures by their features at " + layer.name +
      (byError ? "; crosses: " + moved.length + " classified wrong" : ""));
    if (here >= 0) show(here, null);
  };

  const words = (i) => {
    const label = data.labels[i], predicted = layer.predicted[i];
    const parts = [data.paths[i]];
    if (label >= 0) parts.push(data.classes[label]);
    if (predicted >= 0) {
      const sure = (layer.sure[i] / 10).toFixed(1) + " % sure";
      parts.push((predicted === label ? "✓ rightly predicted, " : "✗ predicted " + data.classes[predicted] + ", ") + sure);
    }
    return parts;
  };

  const show = (i, at) => {
    here = i;
    const x = places[2 * i] / 10, y = places[2 * i + 1] / 10;
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    ring.setAttribute("visibility", "visible");
    const parts = words(i);
    const text = tip.querySelector("p");
    text.replaceChildren(...parts.map((part, k) => {
      const line = document.createElement(k === 1 ? "strong" : "bdi");
      line.dir = "auto";
      // The file's name is enough beside its picture; the whole path is read out below the map.
      line.textContent = k === 0 ? part.slice(part.lastIndexOf("/") + 1) : part;
      line.style.display = "block";
      return line;
    }));
    const cell = tip.querySelector(".sprite");
    const has = data.sprite && data.thumbs[i] === 1;
    cell.style.display = has ? "block" : "none";
    if (has) {
      const { side, columns } = data.sprite;
      cell.style.backgroundPosition = -(i % columns) * side + "px " + -Math.floor(i / columns) * side + "px";
    }
    tip.hidden = false;
    const frame = svg.getBoundingClientRect(), zoom = frame.width / data.size[0];
    const [px, py] = at || [frame.left + x * zoom, frame.top + y * zoom];
    const size = tip.getBoundingClientRect();
    const left = px + 18 + size.width > innerWidth ? px - size.width - 18 : px + 18;
    const top = py + 18 + size.height > innerHeight ? py - size.height - 18 : py + 18;
    tip.style.transform = "translate(" + Math.max(4, left) + "px," + Math.max(4, top) + "px)";
    return parts;
  };
  const hide = () => {
    here = -1;
    tip.hidden = true;
    ring.setAttribute("visibility", "hidden");
  };

  const nearest = (x, y, allowed) => {
    let best = -1, least = Infinity;
    for (let i = 0; i < points.length; i++) {
      const cost = allowed(places[2 * i] / 10 - x, places[2 * i + 1] / 10 - y, i);
      if (cost < least) { least = cost; best = i; }
    }
    return best;
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  function point(event) {
    const frame = svg.getBoundingClientRect(), zoom = frame.width / data.size[0];
    const x = (event.clientX - frame.left) / zoom, y = (event.clientY - frame.top) / zoom;
    const reach = 16 / zoom;
    const i = nearest(x, y, (dx, dy) => { const d = dx * dx + dy * dy; return d < reach * reach ? d : Infinity; });
    if (i < 0) hide(); else show(i, [event.clientX, event.clientY]);
  }
  svg.addEventListener("pointerleave", hide);

  const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { hide(); return; }
    const direction = directions[event.key];
    let next = -1;
    if (event.key === "Home" || (direction && here < 0)) {
      next = nearest(data.size[0] / 2, data.size[1] / 2, (dx, dy) => dx * dx + dy * dy);
    } else if (direction) {
      const [ux, uy] = direction, x = places[2 * here] / 10, y = places[2 * here + 1] / 10;
      next = nearest(x, y, (dx, dy, i) => {
        const along = dx * ux + dy * uy, across = Math.abs(dx * uy) + Math.abs(dy * ux);
        return i !== here && along > 0 && across <= 2 * along ? along + 2 * across : Infinity;
      });
    } else return;
    event.preventDefault();
    if (next >= 0) said.textContent = show(next, null).join(", ");
  });
  box.addEventListener("blur", hide);
  addEventListener("scroll", () => { if (document.activeElement !== box) hide(); }, { passive: true });

  document.addEventListener("change", () => { showPanel(); draw(); });
  draw();
})();
