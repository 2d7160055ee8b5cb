// Feature maps: what the kernels of a convolution have found in the drawing, and where.
//
// Each map is a tile, a small picture of where it is active; all maps of a layer are on one scale.
// Where kernels are over the pixels, each stands above its map, and one, that of the most active map or
// of the one that was chosen, is shown large.

class MapsView {
  constructor(layer, kernels, colours) {
    this.layer = layer;
    this.maps = layer.maps;
    this.kernels = kernels; // one array for each map, or null
    this.colours = colours;
    this.chosen = null;
    [this.root, this.inside] = section(layer, kernels !== null);
    this.grid = element("div", "units maps");
    this.tiles = Array.from({ length: this.maps.count }, () => this.tile());
    this.pictures = this.tiles.map((tile) => tile.lastChild);
    this.grid.append(...this.tiles);
    this.inside.append(this.grid);
    if (kernels) this.makeChoice();
    else this.grid.setAttribute("role", "img");
  }

  tile() {
    if (!this.kernels) {
      const tile = element("span");
      tile.append(element("canvas"));
      return tile;
    }
    const tile = element("button");
    tile.type = "button";
    tile.append(element("canvas", "kernel"), element("canvas"));
    return tile;
  }

  makeChoice() {
    this.grid.setAttribute("role", "radiogroup");
    this.grid.setAttribute("aria-label", `${this.layer.title}: choose a map to see its kernel`);
    this.mark = radios(this.grid, this.tiles, (map, byKey) => {
      this.chosen = map === this.chosen && !byKey ? null : map;
      this.refresh();
    });
    [this.large, this.about] = unitPanel(this.inside);
    this.most = this.kernels.map(largest);
  }

  // The kernels have the colours of day or night.
  paint() {
    if (!this.kernels) return;
    const { rows, columns } = this.maps.kernels;
    this.tiles.forEach((tile, map) => {
      const share = shareOfScale(this.colours.scale);
      drawTile(tile.firstChild, this.kernels[map], rows, columns, 0.77 * this.most[map], share);
    });
  }

  // Values are null while nothing is drawn.
  show(values) {
    this.isEmpty = values === null;
    this.values = values ?? Array(this.layer.units).fill(0);
    this.refresh();
  }

  refresh() {
    const { rows, columns, count } = this.maps, { values } = this, most = largest(values);
    const highest = [];
    this.pictures.forEach((canvas, map) => {
      const own = values.slice(map * rows * columns, (map + 1) * rows * columns);
      drawTile(canvas, own, rows, columns, most, shareOfInk(this.colours.scale));
      highest.push(Math.max(...own));
    });
    if (!this.kernels) {
      const active = values.filter((value) => value > 0).length;
      const size = `${count} maps of ${rows} × ${columns}`;
      this.grid.setAttribute("aria-label", `${size}: ${active} of ${values.length} values are above zero`);
      return;
    }
    const map = this.chosen ?? (most > 0 ? highest.indexOf(Math.max(...highest)) : 0);
    this.tiles.forEach((tile, i) => {
      tile.setAttribute("aria-label", `Map ${i + 1}, ${highest[i].toPrecision(3)} at most`);
    });
    this.mark(map);
    this.showKernel(map, highest[map]);
  }

  showKernel(map, highest) {
    const { rows, columns } = this.maps.kernels, { up, down } = this.colours;
    const edge = 0.2; // the largest signs reach over their dots
    const context = framed(this.large, Math.max(rows, columns) + 2 * edge);
    if (!context) return;
    context.translate(edge, edge);
    drawSigns(context, this.kernels[map], this.most[map], up, down, columns);
    const value = this.isEmpty ? "" : `: ${highest.toPrecision(3)} at most`;
    this.large.setAttribute("aria-label", `Kernel of map ${map + 1}: weights over ${rows} × ${columns} pixels`);
    this.about.textContent =
      `Map ${map + 1}${value}. Its kernel slides over the pixels, ${rows}\u00a0×\u00a0${columns} at a time: ` +
      "ink on + raises the value there, ink on − lowers it.";
  }
}
