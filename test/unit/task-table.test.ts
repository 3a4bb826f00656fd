import { isDeepStrictEqual } from "node:util";

import { isTerminal } from "@ergon/core";
import { describe, expect, test } from "vitest";

import {
  eventNames,
  events,
  placeNames,
  places,
  type Event,
  type EventName,
  type Place,
} from "../support/task-subject.ts";

/** Where each event leads from each live place; what is not here is ignored. */
const table: Partial<Record<Place, Partial<Record<EventName, Place>>>> = {
  held: { release: "ready", cancel: "cancelled", end: "failed" },
  delayed: { cancel: "cancelled", end: "failed" },
  ready: { start: "started", offer: "offered", unserved: "unserved", cancel: "cancelled", end: "failed" },
  offered: {
    unserved: "unserved",
    taken: "started",
    succeeded: "succeeded",
    failed: "backoff",
    final: "failed",
    returned: "ready",
    cancel: "cancelled",
    end: "failed",
  },
  unserved: {
    start: "started",
    offer: "offered",
    taken: "started",
    succeeded: "succeeded",
    failed: "backoff",
    final: "failed",
    returned: "ready",
    cancel: "cancelled",
    end: "failed",
  },
  started: {
    succeeded: "succeeded",
    failed: "backoff",
    final: "failed",
    lost: "ready",
    returned: "ready",
    silent: "backoff",
    cancel: "cancelling",
    end: "failed",
  },
  backoff: { cancel: "cancelled", end: "failed" },
  cancelling: {
    succeeded: "cancelled",
    failed: "cancelled",
    final: "cancelled",
    lost: "cancelled",
    returned: "cancelled",
    end: "failed",
  },
};

const everything = placeNames.flatMap((place) =>
  eventNames.map((name) => ({ place, name, target: table[place]?.[name] })),
);
const taken = everything.flatMap(({ target, ...rest }) => (target === undefined ? [] : [{ ...rest, target }]));
const ignored = everything.filter(({ target, place }) => target === undefined && !isTerminal(place));
const numbered = everything.filter(({ name }) => "attempt" in events[name]);
const late = everything.filter(({ place }) => isTerminal(place));

test.for(taken)("$place + $name: $target", ({ place, name, target }) => {
  const subject = places[place]();

  expect(subject.send(events[name])).toBe(true);

  expect(subject.place).toBe(target);
  expect(subject.state.snapshot.status).toBe(isTerminal(target) ? "done" : "active");
});

describe("an event that does not fit changes nothing", () => {
  test.for(ignored)("$place + $name: ignored", ({ place, name }) => {
    expect(changesOf(place, events[name])).toEqual([]);
  });

  test.for(late)("$place + $name: ignored, it has ended (B-14, I-1)", ({ place, name }) => {
    expect(changesOf(place, events[name])).toEqual([]);
  });

  test.for(numbered)("$place + $name of another attempt: ignored (I-2)", ({ place, name }) => {
    expect(changesOf(place, { ...events[name], attempt: 2 } as Event)).toEqual([]);
  });
});

/** What an event changes of a task, in words. */
function changesOf(place: Place, event: Event): string[] {
  const subject = places[place]();
  const { state: before } = subject;
  subject.send(event);
  const { state, effects } = subject;
  const changes = {
    place: subject.place !== place,
    context: !isDeepStrictEqual(state.snapshot.context, before.snapshot.context),
    timers: !isDeepStrictEqual(state.timers, before.timers),
    effects: effects.length > 0,
  };
  return Object.entries(changes).flatMap(([what, changed]) => (changed ? [what] : []));
}
