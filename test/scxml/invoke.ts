// <invoke> of another document.
import { Unsupported, type Chart } from "./chart.ts";
import { attribute, elements, parseDocument, type Element } from "./document.ts";

const scxmlTypes = ["scxml", "http://www.w3.org/TR/scxml", "http://www.w3.org/TR/scxml/"];

/** The document that is invoked. */
export function invokedDocument(invoke: Element, chart: Chart): Element {
  if (attribute(invoke, "autoforward") === "true") throw new Unsupported("XState forwards no events by itself");
  if (elements(invoke, "finalize").length > 0) throw new Unsupported("XState has no <finalize>");
  for (const dynamic of ["srcexpr", "typeexpr"]) {
    if (attribute(invoke, dynamic) !== undefined) {
      throw new Unsupported("what XState invokes is fixed before the machine starts");
    }
  }
  const type = attribute(invoke, "type") ?? "scxml";
  if (!scxmlTypes.includes(type)) throw new Unsupported(`<invoke> of the type ${type}`);

  const src = attribute(invoke, "src");
  if (src !== undefined) return parseDocument(chart.read(src));
  const [document] = elements(invoke, "content").flatMap((content) => elements(content, "scxml"));
  if (document === undefined) throw new Unsupported("what XState invokes is fixed before the machine starts");
  return document;
}
