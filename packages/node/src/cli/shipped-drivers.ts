/** The names of the drivers that come with Ergon. A command loads their code only if it needs it. */
export const shippedDrivers = ["echo", "noop", "sleep", "http"] as const;
