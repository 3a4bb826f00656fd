import { createMachine } from "xstate";

export const nameless = createMachine({});
export const spaced = createMachine({ id: "a b" });
export const reserved = createMachine({ id: "task" });
export const first = createMachine({ id: "twice" });
export const second = createMachine({ id: "twice" });
