// Executable content: each element becomes a statement.
import type { Statement } from "./block.ts";
import { scriptSource, type Chart } from "./chart.ts";
import { ScxmlError } from "./datamodel.ts";
import { attribute, elements, requiredAttribute, text, type Element } from "./document.ts";
import { cancelStatement, sendStatement } from "./send.ts";

/** The statements of a block: what `<onentry>`, `<transition>`, `<foreach>` and their like hold. */
export function statements(parent: Element, chart: Chart): Statement[] {
  return elements(parent).map((element) => located(element, statement(element, chart)));
}

function statement(element: Element, chart: Chart): Statement {
  switch (element.localName) {
    case "raise": {
      const type = requiredAttribute(element, "event");
      return (run) => run.raise({ type, kind: "internal" });
    }
    case "send":
      return sendStatement(element);
    case "cancel":
      return cancelStatement(element);
    case "assign":
      return assignStatement(element);
    case "log": {
      const expression = attribute(element, "expr");
      return (run) => {
        if (expression !== undefined) run.realm.evaluate(expression);
      };
    }
    case "script": {
      const source = scriptSource(element, chart.read);
      return (run) => run.realm.run(source);
    }
    case "if":
      return ifStatement(element, chart);
    case "foreach":
      return foreachStatement(element, chart);
    default:
      throw new Error(`<${element.localName}> is no executable content`);
  }
}

function assignStatement(element: Element): Statement {
  const location = requiredAttribute(element, "location");
  const expression = attribute(element, "expr") ?? text(element);
  return ({ realm }) => realm.assign(location, realm.evaluate(expression));
}

/** `<elseif>` and `<else>` are empty elements that stand between the branches. */
function ifStatement(element: Element, chart: Chart): Statement {
  const branches = [{ condition: requiredAttribute(element, "cond"), body: [] as Statement[] }];
  for (const child of elements(element)) {
    if (child.localName === "elseif") branches.push({ condition: requiredAttribute(child, "cond"), body: [] });
    else if (child.localName === "else") branches.push({ condition: "true", body: [] });
    else branches.at(-1)?.body.push(located(child, statement(child, chart)));
  }
  return (run) => {
    const taken = branches.find(({ condition }) => {
      try {
        return Boolean(run.realm.evaluate(condition));
      } catch (error) {
        if (!(error instanceof ScxmlError)) throw error;
        run.raise({ type: error.kind, kind: "platform" });
        return false;
      }
    });
    for (const inner of taken?.body ?? []) inner(run);
  };
}

function foreachStatement(element: Element, chart: Chart): Statement {
  const array = requiredAttribute(element, "array");
  const item = requiredAttribute(element, "item");
  const index = attribute(element, "index");
  const body = statements(element, chart);
  return (run) => {
    const items = run.realm.evaluate(array);
    if (!Array.isArray(items)) throw new ScxmlError("error.execution", `${array} is no array`);
    // The body may change the array; the loop goes over what it was.
    for (const [at, value] of [...(items as unknown[])].entries()) {
      run.realm.declare(item, value);
      if (index !== undefined) run.realm.declare(index, at);
      for (const inner of body) inner(run);
    }
  };
}

/** Says in an error, once, which element it came from. */
function located(element: Element, inner: Statement): Statement {
  return (run) => {
    try {
      inner(run);
    } catch (error) {
      if (!(error instanceof ScxmlError)) throw error;
      error.place ??= { tagname: element.localName ?? "", line: element.lineNumber, column: element.columnNumber };
      throw error;
    }
  };
}
