// A state's id at XState, which takes a dot in it for a path, and after a restart finds no such state in a history.

export const stateId = (id: string): string => id.replaceAll(".", "$");

export const stateReference = (id: string): string => `#${stateId(id)}`;

/** The id in the document. */
export const documentId = (id: string): string => id.replaceAll("$", ".");
