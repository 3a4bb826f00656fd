import type { Case } from "./catalogue.ts";
import type { Engine } from "./engine.ts";
import { toMachine } from "./to-machine.ts";

/** The atomic states at a moment of a case. */
interface Moment {
  readonly when: string;
  readonly states: readonly string[];
}

/** Longer than any timer of a case that runs to its end by itself. */
const TO_THE_END_MS = 60_000;

/** What becomes of a case on an engine. Rejects when the document cannot be a machine, or the machine throws. */
export async function run(testCase: Case, engine: Engine): Promise<Moment[]> {
  const { events } = testCase.script;
  const instance = await engine.start(toMachine(testCase.document, testCase.read));
  if (events.length === 0) await instance.advance(TO_THE_END_MS);
  const moments = [moment("at the start", instance.configuration())];
  for (const { after = 0, event } of events) {
    await instance.advance(after);
    await instance.send(event.name);
    moments.push(moment(`after ${event.name}`, instance.configuration()));
  }
  return judged(testCase, moments);
}

/** What is to become of it. */
export function expected(testCase: Case): Moment[] {
  const { initialConfiguration, events } = testCase.script;
  return judged(testCase, [
    moment("at the start", initialConfiguration),
    ...events.map(({ event, nextConfiguration }) => moment(`after ${event.name}`, nextConfiguration)),
  ]);
}

const moment = (when: string, states: readonly string[]): Moment => ({ when, states: [...states].sort() });

const judged = ({ judgesItself }: Case, moments: Moment[]): Moment[] => (judgesItself ? moments.slice(-1) : moments);
