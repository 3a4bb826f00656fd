import type { EventObject } from "xstate";

import type { Timer } from "../actor/state.ts";
import { LAST_TIME } from "../base/clock.ts";
import { fromPlain, toPlain } from "../base/plain.ts";
import type { InnerActor, InnerSystem } from "./inner-actor.ts";
import { samePath, type Path, type Places } from "./places.ts";

/** A timer of a tree, with the actor that set it and the actor that receives its event. */
interface TreeTimer {
  readonly id: string;
  readonly due: number;
  readonly event: EventObject;
  readonly source: InnerActor;
  readonly target: InnerActor;
}

interface Surroundings {
  readonly root: InnerActor;
  readonly places: Places;
  /** Returns the time of the present turn, in epoch milliseconds. */
  readonly now: () => number;
  /** Returns a number that nothing else of the instance has. */
  readonly newNumber: () => number;
  /** Reports each change of the timers. */
  readonly changed: () => void;
}

/** The timers of a tree. They are data, and the host of the instance fires them. */
export class TreeTimers {
  readonly #around: Surroundings;
  #timers: TreeTimer[] = [];

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Sets and cancels timers in place of XState's scheduler. */
  readonly scheduler: InnerSystem["scheduler"] = {
    schedule: (source, target, event, delay, id = `timer.${this.#around.newNumber()}`) => {
      this.#around.changed();
      const due = this.#around.now() + delay;
      if (!(due <= LAST_TIME))
        throw new Error(`the delay of "${id}" must be a number of milliseconds, and is ${delay}`);
      this.#timers.push({ id, due, event, source, target });
    },
    cancel: (source, id) => this.#keep((timer) => timer.source !== source || timer.id !== id),
    cancelAll: (actor) => this.#keep((timer) => timer.source !== actor),
  };

  /** Removes a timer that fires, and returns its event and its receiver, or `undefined` if the receiving actor no longer exists. */
  take(timer: Timer): (Pick<TreeTimer, "target" | "event"> & { readonly source: InnerActor | undefined }) | undefined {
    const { source, target } = placesOf(timer);
    const { places, changed } = this.#around;
    const due = this.#timers.find(
      (one) => one.id === timer.id && one.due === timer.due && samePath(places.pathOf(one.source) ?? [], source),
    );
    if (due !== undefined) this.#timers = this.#timers.filter((one) => one !== due);
    changed();
    if (due !== undefined) return due;
    const to = places.find(target ?? source);
    return to === undefined ? undefined : { source: undefined, target: to, event: fromPlain(timer.event) };
  }

  /** Restores a stored timer. The timer follows the actor that waits for it. */
  restore(timer: Timer): void {
    const { places } = this.#around;
    const { source: from, target: to = from } = placesOf(timer);
    const source = places.find(from);
    const target = places.find(to);
    if (source === undefined || target === undefined) return;
    this.#timers.push({ id: timer.id, due: timer.due, event: fromPlain(timer.event), source, target });
  }

  /** Returns the timers as a record holds them. Throws `InvalidError` (`NOT_SERIALISABLE`). */
  stored(): Timer[] {
    return this.#timers.map((timer) => this.#storedTimer(timer));
  }

  /** The actors that receive events which other actors have set. */
  get targets(): InnerActor[] {
    return this.#timers.flatMap(({ source, target }) => (target === source ? [] : [target]));
  }

  clear(): void {
    this.#timers = [];
  }

  #keep(wanted: (timer: TreeTimer) => boolean): void {
    if (this.#timers.every(wanted)) return;
    this.#around.changed();
    this.#timers = this.#timers.filter(wanted);
  }

  #storedTimer({ id, due, event, source, target }: TreeTimer): Timer {
    const timer = { id, due, event: toPlain(event, `timers.${id}`) as EventObject };
    if (target === source) return source === this.#around.root ? timer : { ...timer, source: this.#pathOf(source) };
    return { ...timer, source: this.#pathOf(source), target: this.#pathOf(target) };
  }

  #pathOf(actor: InnerActor): Path {
    const path = this.#around.places.pathOf(actor);
    if (path === undefined) throw new Error(`actor "${actor.id}" is not of this instance`);
    return path;
  }
}

function placesOf({ source, target }: Timer): { readonly source: Path; readonly target: Path | undefined } {
  return { source: source ?? [], target };
}
