// The live items: everyone may watch, and Motia keeps them in its Redis.
export const config = {
  name: "bench",
  schema: { type: "object" },
  baseConfig: { storageType: "default" },
};
