// What a state's entry prepares: its data, what a final state answers, what an invoked machine is started with.
import { perform, type Statement } from "./block.ts";
import { dataElements, idOf, scriptSource, type Chart } from "./chart.ts";
import { plain, type Variables } from "./datamodel.ts";
import { attribute, elements, requiredAttribute, text, type Element } from "./document.ts";
import { literal, namedValues, payload } from "./send.ts";

/** Gives the data of states their first values; one that has none stays undefined, and an error is raised. */
export function bindData(chart: Chart, states: readonly Element[]): Statement {
  const data = states.flatMap(dataElements).map((element) => dataStatement(chart, element));
  return (run) => {
    for (const statement of data) perform(run, [statement]);
  };
}

/** Runs the scripts that stand at the document's top; what they declare is kept. */
export function runScripts(chart: Chart): Statement {
  const sources = elements(chart.root, "script").map((script) => scriptSource(script, chart.read));
  return (run) => {
    for (const source of sources) run.realm.run(source);
  };
}

/** The same for one state, the first time that it is entered. */
export function bindLate(chart: Chart, state: Element): Statement {
  const id = idOf(chart, state);
  const bind = bindData(chart, [state]);
  return (run) => {
    const { bound } = run.context;
    if (bound.includes(id)) return;
    run.change({ bound: [...bound, id] });
    bind(run);
  };
}

function dataStatement(chart: Chart, element: Element): Statement {
  const id = requiredAttribute(element, "id");
  const expression = attribute(element, "expr");
  const src = attribute(element, "src");
  const source = src === undefined ? text(element) : chart.read(src).trim();
  return ({ realm, context }) => {
    if (context.given.includes(id)) return;
    if (expression !== undefined) realm.assign(id, realm.evaluate(expression));
    else if (source !== "") realm.assign(id, literal(source, realm));
  };
}

export function prepareDonedata(id: string, element: Element): Statement {
  return (run) => {
    const { [id]: _, ...others } = run.context.donedata;
    run.change({ donedata: others });
    const answer = payload(element, run.realm);
    if (answer !== undefined) run.change({ donedata: { ...others, [id]: answer } });
  };
}

export function prepareInvoke(id: string, element: Element): Statement {
  const idLocation = attribute(element, "idlocation");
  return (run) => {
    if (idLocation !== undefined) run.realm.assign(idLocation, id);
    const values = plain(namedValues(element, run.realm)) as Variables;
    run.change({ inputs: { ...run.context.inputs, [id]: { invokeid: id, values } } });
  };
}
