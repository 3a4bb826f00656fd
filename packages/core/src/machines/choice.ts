import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate";

/** The transitions that a machine has chosen for an event where it stands. */
interface Choice {
  readonly snapshot: AnyMachineSnapshot;
  readonly event: EventObject;
  readonly transitions: unknown;
}

const watched = new WeakSet<AnyStateMachine>();
/** The question that is being answered, and the answer to the last one. One for all machines: a step follows its question at once, or never. */
let asked: Omit<Choice, "transitions"> | undefined;
let answered: Choice | undefined;

/**
 * Whether a machine takes an event where it stands. If the machine then takes this event from there, the step uses what was chosen here: its guards
 * run once, and a guard that depends on something outside cannot answer the step otherwise than the question.
 */
export function canOnce(snapshot: AnyMachineSnapshot, event: EventObject): boolean {
  watch(snapshot.machine);
  answered = undefined;
  asked = { snapshot, event };
  try {
    return snapshot.can(event);
  } finally {
    asked = undefined;
  }
}

/** XState offers no way to hand a step what `can` has found. Both ask the machine by this method. */
function watch(machine: AnyStateMachine): void {
  if (watched.has(machine) || !Object.isExtensible(machine)) return;
  watched.add(machine);
  const choose = machine.getTransitionData.bind(machine);
  const once = (snapshot: AnyMachineSnapshot, event: EventObject): unknown => {
    if (isOf(answered, snapshot, event)) {
      const { transitions } = answered;
      answered = undefined;
      return transitions;
    }
    const isAsked = isOf(asked, snapshot, event);
    const transitions = choose(snapshot, event);
    if (isAsked) answered = { snapshot, event, transitions };
    return transitions;
  };
  Object.defineProperty(machine, "getTransitionData", { value: once, configurable: true, writable: true });
}

function isOf<T extends Omit<Choice, "transitions">>(
  choice: T | undefined,
  snapshot: AnyMachineSnapshot,
  event: EventObject,
): choice is T {
  return choice?.snapshot === snapshot && choice.event === event;
}
