const SVG = "http://www.w3.org/2000/svg";
const BARS = 120;
const HEIGHT = 96;
const DECADES = 4; // from 1 ms to 10 s

/** The ages of the last events as bars, on a logarithmic scale. */
export class AgePlot {
  #svg;
  /** @type {number[]} */
  #ages = [];

  /** @param {SVGSVGElement} svg */
  constructor(svg) {
    this.#svg = svg;
    this.draw();
  }

  clear() {
    this.#ages = [];
  }

  /** @param {number} ms */
  add(ms) {
    this.#ages.push(ms);
    if (this.#ages.length > BARS) this.#ages.shift();
  }

  draw() {
    const parts = [];
    for (let decade = 1; decade < DECADES; decade++) {
      const y = HEIGHT - (decade / DECADES) * HEIGHT;
      parts.push(shape("line", { x1: 0, x2: BARS * 5, y1: y, y2: y }));
    }
    const first = BARS - this.#ages.length;
    this.#ages.forEach((ms, at) => {
      const share = Math.min(1, Math.max(0.02, Math.log10(Math.max(1, ms)) / DECADES));
      const height = share * HEIGHT;
      parts.push(shape("rect", { x: (first + at) * 5, y: HEIGHT - height, width: 4, height }));
    });
    this.#svg.replaceChildren(...parts);
    if (!this.#ages.length) {
      this.#svg.setAttribute("aria-label", "The ages of the last events: none has arrived yet");
    } else {
      const sorted = [...this.#ages].sort((a, b) => a - b);
      const middle = sorted[Math.floor(sorted.length / 2)];
      this.#svg.setAttribute(
        "aria-label",
        `The ages of the last ${sorted.length} events: half under ${age(middle)}, the oldest ${age(sorted.at(-1))}`,
      );
    }
  }
}

/** @param {number} ms */
export function age(ms) {
  return ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
