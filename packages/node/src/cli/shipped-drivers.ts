/** The names of the drivers that come with Ergon; what they do is loaded where it is needed. */
export const shippedDrivers = ["echo", "noop", "sleep", "http"] as const;
