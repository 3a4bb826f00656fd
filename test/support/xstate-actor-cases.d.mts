import type { cases } from "./xstate-cases.mjs";

export const actorCases: typeof cases;
