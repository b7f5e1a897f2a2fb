// What a page has to load, bundled, minified and zipped. Fails where it is more than promised.

import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const MOST = { index: 6144, react: 1024, ops: 2048, call: 1024 }

let isTooMuch = false
for (const [entry, most] of Object.entries(MOST)) {
  const { outputFiles } = await build({
    entryPoints: [`src/${entry}.ts`],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    // The hooks are measured without the client, which is there anyway.
    external: entry === 'react' ? ['react', './client.js'] : [],
  })
  const bytes = gzipSync(outputFiles[0].contents, { level: 9 }).length
  isTooMuch ||= bytes > most
  console.log(`${entry}: ${bytes} bytes of ${most}`)
}
process.exitCode = isTooMuch ? 1 : 0
