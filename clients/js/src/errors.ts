/** Everything that can go wrong, by number. A number never changes its meaning. */
export const NUMBERS = {
  /** The client was closed, which is final. */
  CLOSED: 1,
  /** The line was lost before the answer came: nobody knows whether it was done. */
  LINE_LOST: 2,
  /** What answers does not speak `streams.v2`. */
  NOT_A_GATEWAY: 3,
  /** The gateway does not take the token, and no other one is to be had. */
  TOKEN_REFUSED: 4,
  /** Whoever gives tokens has failed. It is asked again. */
  TOKEN_FAILED: 5,
  /** The gateway refuses the room. */
  ROOM_REFUSED: 6,
  /** The gateway did not do what was asked for; `code` says why. */
  REFUSED: 7,
  /** What came is no frame. It was left out. */
  BAD_FRAME: 8,
} as const

export type ErrorName = keyof typeof NUMBERS

/** What a client of streams fails with. */
export class StreamsError extends Error {
  override readonly name = 'StreamsError'
  readonly number: number
  /** The gateway's word for it, such as `STREAM_ACCESS_DENIED`; else the name of the number. */
  readonly code: string

  constructor(error: ErrorName, message: string, code: string = error) {
    super(`${message} [streams ${NUMBERS[error]}]`)
    this.number = NUMBERS[error]
    this.code = code
  }
}

/** Call listeners, each for itself: one that throws is reported, and keeps nothing from the others. */
export function tell<T extends unknown[]>(listeners: Iterable<(...args: T) => void>, ...args: T): void {
  for (const listener of [...listeners]) {
    try {
      listener(...args)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
