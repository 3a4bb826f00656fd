// <send>, <cancel>, and the values that elements hand on.
import type { Run, Statement } from "./block.ts";
import { plain, plainEvent, ScxmlError, type Realm, type Variables } from "./datamodel.ts";
import { attribute, elements, requiredAttribute, text, words, type Element } from "./document.ts";
import { SCXML_PROCESSOR } from "./events.ts";

export function sendStatement(element: Element): Statement {
  const givenId = attribute(element, "id");
  const idLocation = attribute(element, "idlocation");
  return (run) => {
    const { chart, context } = run;
    const id = givenId ?? `send.${context.sends}`;
    if (givenId === undefined) run.change({ sends: context.sends + 1 });
    if (idLocation !== undefined) run.realm.assign(idLocation, id);

    const type = written(element, "event", run) ?? "";
    const target = written(element, "target", run);
    const delay = delayMs(written(element, "delay", run));
    const processor = written(element, "type", run) ?? "scxml";
    if (processor !== "scxml" && processor !== SCXML_PROCESSOR) {
      throw new ScxmlError("error.execution", `there is no event processor ${processor}`, id);
    }
    const event = {
      type,
      data: payload(element, run.realm),
      sendid: givenId !== undefined || idLocation !== undefined ? id : undefined,
    };

    if (target === "#_internal") {
      run.raise(plainEvent({ ...event, kind: "internal" }));
    } else if (target === undefined || target === `#_scxml_${chart.sessionId}`) {
      run.later(plainEvent({ ...event, origin: `#_scxml_${chart.sessionId}` }), id, delay ?? 0);
    } else if (target === "#_parent" && context.invokeid !== undefined) {
      const { invokeid } = context;
      run.sendTo(target, plainEvent({ ...event, invokeid, origin: `#_${invokeid}` }), id, delay);
    } else if (target.startsWith("#_")) {
      const child = target.slice(2);
      if (context.inputs[child] === undefined) {
        throw new ScxmlError("error.communication", `nobody is called ${child}`, id);
      }
      run.sendTo(target, plainEvent({ ...event, origin: "#_parent" }), id, delay);
    } else {
      throw new ScxmlError("error.execution", `${target} is no target`, id);
    }
  };
}

export function cancelStatement(element: Element): Statement {
  return (run) => run.cancel(written(element, "sendid", run) ?? "");
}

/** What `namelist`, `<param>` or `<content>` hand on; undefined where there is none of them. */
export function payload(element: Element, realm: Realm): unknown {
  const [content] = elements(element, "content");
  if (content !== undefined) {
    const expression = attribute(content, "expr");
    return plain(expression === undefined ? literal(text(content), realm) : realm.evaluate(expression));
  }
  const values = namedValues(element, realm);
  return Object.keys(values).length === 0 ? undefined : plain(values);
}

/** The values of `namelist` and `<param>`, by name. */
export function namedValues(element: Element, realm: Realm): Variables {
  const names = words(element, "namelist").map((name) => [name, realm.evaluate(name)] as const);
  const params = elements(element, "param").map(
    (param) =>
      [
        requiredAttribute(param, "name"),
        realm.evaluate(attribute(param, "expr") ?? requiredAttribute(param, "location")),
      ] as const,
  );
  return Object.fromEntries([...names, ...params]);
}

/** Text between tags: a value where it reads as one, else the text with its white space made even. */
export function literal(source: string, realm: Realm): unknown {
  try {
    return realm.evaluate(source);
  } catch (error) {
    if (!(error instanceof ScxmlError)) throw error;
    return source.replace(/\s+/g, " ");
  }
}

/** An attribute, or the value of the expression that stands in its place. */
function written(element: Element, name: string, run: Run): string | undefined {
  const expression = attribute(element, `${name}expr`);
  return expression === undefined ? attribute(element, name) : String(run.realm.evaluate(expression));
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, "": 1 };

/** `10ms`, `.5s`, or milliseconds alone. */
function delayMs(written: string | undefined): number | undefined {
  if (written === undefined) return undefined;
  const [, amount, unit = ""] = /^(\d*\.?\d+)(ms|s)?$/.exec(written) ?? [];
  if (amount === undefined) throw new ScxmlError("error.execution", `${written} is no delay`);
  return Number(amount) * (unitsMs[unit] ?? 1);
}
