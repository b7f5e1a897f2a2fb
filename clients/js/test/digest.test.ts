import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Digest } from '../src/digest.js'

/** What every implementation makes the same of, in any language. */
const corpus = JSON.parse(readFileSync(new URL('../../../tests/wire/v1/digests.json', import.meta.url), 'utf8')) as {
  cases: { name: string; items: [string, number][]; digest: string }[]
}

describe('the digest', () => {
  it.each(corpus.cases)('of $name is that of every other client', ({ items, digest }) => {
    const revs = new Map(items)
    expect(new Digest(revs.keys()).text((id) => revs.get(id) ?? 0)).toBe(digest)
  })

  it('follows changes as if it were made anew', () => {
    const revs = new Map([
      ['a', 1],
      ['b', 2],
      ['ü😀', 3],
    ])
    const revOf = (id: string) => revs.get(id) ?? 0
    const digest = new Digest(revs.keys())
    const first = digest.text(revOf)
    for (const [id, rev] of [['a', 9], ['b', 0], ['c', 7], ['c', 8]] as const) {
      digest.note(id, revOf(id))
      if (rev) revs.set(id, rev)
      else revs.delete(id)
    }

    expect(digest.text(revOf)).toBe(new Digest(revs.keys()).text(revOf))
    expect(digest.text(revOf)).not.toBe(first)
  })
})
