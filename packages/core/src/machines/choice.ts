import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from "xstate";

/** The transitions that a machine has chosen for an event in its present state. */
interface Choice {
  readonly snapshot: AnyMachineSnapshot;
  readonly event: EventObject;
  readonly transitions: unknown;
}

const watched = new WeakSet<AnyStateMachine>();
/** The question in progress, and the last answer. One variable serves all machines, because a step follows its question at once or never. */
let asked: Omit<Choice, "transitions"> | undefined;
let answered: Choice | undefined;

/**
 * Returns true if a machine takes an event in its present state. When the machine then takes this event, the step uses the transitions that were
 * chosen here. The guards therefore run once, and a guard that depends on something outside the machine cannot answer the step differently.
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

/** Wraps the method with which both `can` and a step choose transitions, because XState cannot pass the result of `can` to a step. */
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
