// What happens inside: one section for each layer of the network.
//
// Where the units' weights are over the pixels, each unit is a tile, its weights as an image, with its
// activation as a bar below; one unit, the most active or the one that was chosen, is shown large.
// Other layers are a strip of bars.

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

class LayerView {
  constructor(layer, weights, colours) {
    this.layer = layer;
    this.weights = weights; // one array of 784 for each unit, or null
    this.colours = colours;
    this.chosen = null;
    this.root = element("div", "layer");
    const heading = element("h2", "", layer.title);
    heading.append(element("small", "", layer.subtitle));
    this.inside = element("div", weights ? "inside with-unit" : "inside");
    this.root.append(heading, this.inside);
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
      if (this.layer.isOutput) button.append(element("em", "", String(unit)));
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
    const unit = element("div", "unit");
    this.large = element("canvas", "picture");
    this.large.setAttribute("role", "img");
    this.about = element("p", "note");
    unit.append(this.large, this.about);
    this.inside.append(grid, unit);
    this.most = this.weights.map(largest);
  }

  // The tiles have the colours of day or night.
  paint() {
    const scale = this.colours.scale;
    this.tiles?.forEach((tile, unit) => {
      drawTile(tile.firstChild, this.weights[unit], this.most[unit], scale);
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
    return this.layer.isOutput ? `Digit ${unit}` : `Unit ${unit + 1}`;
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
