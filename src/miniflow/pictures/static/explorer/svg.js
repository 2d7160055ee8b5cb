// Small helpers for SVG.

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes, and text or children; text is only ever set as text. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Make an element do something when it is clicked, and when it is chosen by key. */
export function clickable(element, action) {
  element.addEventListener("click", action);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
}
