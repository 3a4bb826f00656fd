import { createNames } from "@ergon/core/engine";

import type { Frame, Point } from "../support/cluster-proxy.ts";

/** The named points of a task's life, as they look on the wire of the process that is hit there. */
export interface NamedPoint {
  readonly name: string;
  readonly of: (task: string) => Point;
}

const commit = (task: string, nth: number) => {
  let seen = 0;
  return ({ to, subject }: Frame): boolean =>
    to === "server" && subject.startsWith("$KV.") && subject.endsWith(`.${task}`) && ++seen === nth;
};

/** Points of the node that owns the task's shard. */
export function nodePoints(namespace: string): readonly NamedPoint[] {
  const { root } = createNames(namespace);
  const dispatch =
    (task: string) =>
    ({ to, subject, body }: Frame): boolean =>
      to === "server" && subject.startsWith(`${root}.agent.`) && body.includes(task);
  const answer =
    (task: string) =>
    ({ to, subject }: Frame): boolean =>
      to === "client" && subject.startsWith(`${root}.shard.`) && subject.includes(`.reply.${task}.`);
  const acknowledgement =
    (task: string) =>
    ({ to, subject }: Frame): boolean =>
      to === "server" && subject.startsWith(`${root}.recorded.`) && subject.includes(`.${task}.`);
  return [
    { name: "before its creation is committed", of: (task) => ({ when: "before", match: commit(task, 1) }) },
    { name: "after its creation is committed", of: (task) => ({ when: "after", match: commit(task, 1) }) },
    { name: "before its dispatch", of: (task) => ({ when: "before", match: dispatch(task) }) },
    { name: "after its dispatch", of: (task) => ({ when: "after", match: dispatch(task) }) },
    { name: "before its answer comes in", of: (task) => ({ when: "before", match: answer(task) }) },
    { name: "before its end is committed", of: (task) => ({ when: "before", match: commit(task, 2) }) },
    { name: "after its end is committed", of: (task) => ({ when: "after", match: commit(task, 2) }) },
    { name: "before its answer is acknowledged", of: (task) => ({ when: "before", match: acknowledgement(task) }) },
    { name: "after its answer is acknowledged", of: (task) => ({ when: "after", match: acknowledgement(task) }) },
  ];
}

/** Points of the agent that runs the task's attempt. */
export function agentPoints(namespace: string): readonly NamedPoint[] {
  const { root } = createNames(namespace);
  const dispatch =
    (task: string) =>
    ({ to, subject, body }: Frame): boolean =>
      to === "client" && subject.startsWith(`${root}.agent.`) && body.includes(task);
  const answer =
    (task: string) =>
    ({ to, subject, body }: Frame): boolean =>
      to === "server" && subject.includes(`.reply.${task}.`) && body.includes("succeeded");
  const acknowledgement =
    (task: string) =>
    ({ to, subject }: Frame): boolean =>
      to === "client" && subject.startsWith(`${root}.recorded.`) && subject.includes(`.${task}.`);
  return [
    { name: "before the dispatch reaches it", of: (task) => ({ when: "before", match: dispatch(task) }) },
    { name: "after the dispatch has reached it", of: (task) => ({ when: "after", match: dispatch(task) }) },
    { name: "before its answer", of: (task) => ({ when: "before", match: answer(task) }) },
    { name: "after its answer", of: (task) => ({ when: "after", match: answer(task) }) },
    { name: "before the acknowledgement reaches it", of: (task) => ({ when: "before", match: acknowledgement(task) }) },
    {
      name: "after the acknowledgement has reached it",
      of: (task) => ({ when: "after", match: acknowledgement(task) }),
    },
  ];
}
