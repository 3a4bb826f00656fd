// An SCXML document as elements, whatever prefix its namespace has.
import { DOMParser, type Element } from "@xmldom/xmldom";

export type { Element } from "@xmldom/xmldom";

const ELEMENT = 1;

export function parseDocument(text: string): Element {
  const root = new DOMParser().parseFromString(text, "text/xml").documentElement;
  if (root === null) throw new Error("the document has no element");
  return root;
}

/** The child elements, in document order; only those of the given names where there are any. */
export function elements(parent: Element, ...names: string[]): Element[] {
  return [...parent.childNodes]
    .filter((node) => node.nodeType === ELEMENT)
    .map((node) => node as Element)
    .filter((element) => names.length === 0 || names.includes(element.localName ?? ""));
}

export function attribute(element: Element, name: string): string | undefined {
  return element.getAttribute(name) ?? undefined;
}

export function requiredAttribute(element: Element, name: string): string {
  const value = attribute(element, name);
  if (value === undefined) throw new Error(`<${element.localName}> has no ${name}`);
  return value;
}

/** The words of an attribute that is a list. */
export function words(element: Element, name: string): string[] {
  return (attribute(element, name) ?? "").split(/\s+/).filter((word) => word !== "");
}

/** The character data below an element, without what surrounds it. */
export function text(element: Element): string {
  return (element.textContent ?? "").trim();
}
