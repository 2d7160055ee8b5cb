// What happens inside: one section for each layer of the network.
//
// Where the units' weights are over the pixels, each unit is a tile, its weights as an image, with its
// activation as a bar below; one unit, the most active or the one that was chosen, is shown large.
// Other layers are a strip of bars. (Feature maps are in `maps.js`.)

// A group of buttons of which one is chosen; the arrow keys move the choice, as in any such group.
function radios(group, buttons, choose) {
  buttons.forEach((button, i) => {
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => choose(i));
  });
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const from = buttons.indexOf(document.activeElement);
    if (!step || from < 0) return;
    event.preventDefault();
    const to = (from + step + buttons.length) % buttons.length;
    buttons[to].focus();
    choose(to, true);
  });
  return (chosen) =>
    buttons.forEach((button, i) => {
      button.setAttribute("aria-checked", String(i === chosen));
      button.tabIndex = i === Math.max(chosen, 0) ? 0 : -1;
    });
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text; // names are text, whatever they look like
  return made;
}

// What a layer is shown in: a section with a heading, and the place inside for the rest.
function section(layer, hasPanel) {
  const root = element("div", "layer"), heading = element("h2", "", layer.title);
  const inside = element("div", hasPanel ? "inside with-unit" : "inside");
  heading.append(element("small", "", layer.subtitle));
  root.append(heading, inside);
  return [root, inside];
}

// Where one unit is shown large: its picture, and a sentence.
function unitPanel(inside) {
  const panel = element("div", "unit"), picture = element("canvas", "picture"), about = element("p", "note");
  picture.setAttribute("role", "img");
  panel.append(picture, about);
  inside.append(panel);
  return [picture, about];
}

class LayerView {
  constructor(layer, weights, colours) {
    this.layer = layer;
    this.weights = weights; // one array of 784 for each unit, or null
    this.colours = colours;
    this.chosen = null;
    [this.root, this.inside] = section(layer, weights !== null);
    if (weights) this.makeTiles();
    else this.inside.append((this.strip = element("canvas", "strip")));
    this.strip?.setAttribute("role", "img");
  }

  makeTiles() {
    const grid = element("div", "units");
    grid.style.setProperty("--tile", this.layer.units > 64 ? "34px" : this.layer.units > 16 ? "50px" : "84px");
    grid.setAttribute("role", "radiogroup");
    grid.setAttribute("aria-label", `${this.layer.title}: choose a unit to see its weights`);
    this.tiles = this.weights.map((_, unit) => {
      const button = element("button");
      button.type = "button";
      button.append(element("canvas"));
      if (this.layer.isOutput) button.append(element("em", "", nameOfClass(unit)));
      const level = element("span", "level");
      level.append(element("i"));
      button.append(level);
      grid.append(button);
      return button;
    });
    this.mark = radios(grid, this.tiles, (unit, byKey) => {
      this.chosen = unit === this.chosen && !byKey ? null : unit;
      this.refresh();
    });
    this.inside.append(grid);
    [this.large, this.about] = unitPanel(this.inside);
    this.most = this.weights.map(largest);
  }

  // The tiles have the colours of day or night.
  paint() {
    this.tiles?.forEach((tile, unit) => {
      const share = shareOfScale(this.colours.scale);
      drawTile(tile.firstChild, this.weights[unit], FRAME, FRAME, 0.77 * this.most[unit], share);
    });
  }

  // Values are null while nothing is drawn.
  show(values, pixels) {
    this.isEmpty = values === null;
    this.values = values ?? Array(this.layer.units).fill(0);
    this.pixels = pixels;
    this.refresh();
  }

  refresh() {
    const { values } = this;
    if (this.strip) {
      const active = values.filter((value) => value > 0).length;
      this.strip.setAttribute("aria-label", `${active} of ${values.length} values are above zero`);
      drawStrip(this.strip, values, this.colours.ink);
      return;
    }
    const most = largest(values), signed = values.some((value) => value < 0);
    const unit = this.chosen ?? (most > 0 ? values.indexOf(Math.max(...values)) : 0);
    this.tiles.forEach((tile, i) => {
      const share = most > 0 ? values[i] / most : 0;
      tile.classList.toggle("quiet", most > 0 && share <= 0.05);
      const { style } = tile.querySelector(".level i");
      style.left = signed ? `${50 + Math.min(0, share) * 50}%` : "0";
      style.width = `${Math.abs(share) * (signed ? 50 : 100)}%`;
      tile.setAttribute("aria-label", `${this.nameOf(i)}, ${values[i].toPrecision(3)}`);
    });
    this.mark(unit);
    this.showUnit(unit);
  }

  nameOf(unit) {
    if (!this.layer.isOutput) return `Unit ${unit + 1}`;
    return data.names ? nameOfClass(unit) : `Digit ${unit}`;
  }

  showUnit(unit) {
    const context = framed(this.large);
    if (!context) return;
    const { ink, up, down } = this.colours;
    drawPixels(context, this.pixels, ink, 0.22);
    drawSigns(context, this.weights[unit], this.most[unit], up, down);
    const name = this.nameOf(unit);
    const value = this.isEmpty ? "" : `: ${this.values[unit].toPrecision(3)}`;
    this.large.setAttribute("aria-label", `Weights of ${name.toLowerCase()} over the pixels`);
    this.about.textContent = `${name}${value}. Ink on + raises it, ink on − lowers it.`;
  }
}
