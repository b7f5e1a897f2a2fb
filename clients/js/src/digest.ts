// What a group holds, in eight bytes: whoever has the same items in the same versions has the same digest.
// How it is made is in docs/protocol.md, "The digest"; a browser has nothing of the kind that is synchronous.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let bits = byte
  for (let n = 0; n < 8; n++) bits = bits & 1 ? (bits >>> 1) ^ 0xedb88320 : bits >>> 1
  return bits
})

const encoder = new TextEncoder()

/** Two halves of 32 bits, which a number holds exactly. */
type Halves = [high: number, low: number]

function itemDigest(id: string, rev: number): Halves {
  const text = encoder.encode(`${rev} ${id}`)
  return [mixed(crc32(text)), mixed(crc32(text.reverse()))]
}

function crc32(text: Uint8Array): number {
  let bits = -1
  for (const byte of text) bits = (bits >>> 8) ^ TABLE[(bits ^ byte) & 255]!
  return ~bits >>> 0
}

/** fmix32 of MurmurHash3, by Austin Appleby, in the public domain. */
function mixed(bits: number): number {
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/** The digest of items that change, brought up to date when it is asked for. */
export class Digest {
  #high = 0
  #low = 0
  /** Items that changed since, with the revisions that are in it. 0: none is. */
  #stale = new Map<string, number>()

  constructor(ids: Iterable<string> = []) {
    for (const id of ids) this.#stale.set(id, 0)
  }

  /** An item is about to change, of which there is this revision; 0: there is none. */
  note(id: string, rev: number): void {
    if (!this.#stale.has(id)) this.#stale.set(id, rev)
  }

  /** What it is now, as 16 hexadecimal digits. `revOf` tells the revision of an item, 0 where there is none. */
  text(revOf: (id: string) => number): string {
    for (const [id, before] of this.#stale) {
      const now = revOf(id)
      if (now === before) continue
      for (const rev of [before, now]) {
        if (!rev) continue
        const [high, low] = itemDigest(id, rev)
        this.#high ^= high
        this.#low ^= low
      }
    }
    this.#stale.clear()
    return hex(this.#high) + hex(this.#low)
  }
}

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, '0')
}
