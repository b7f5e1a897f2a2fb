// Lets Node load what was published for bundlers: the 0.2.2 package has ES modules
// without saying so, which import each other without the `.js`.

const published = '/motia-browser-0.2/dist/'

export const resolve = (specifier, context, next) => {
  const fromThere = specifier.startsWith('.') && context.parentURL?.includes(published)
  return next(fromThere ? `${specifier}.js` : specifier, context)
}

export const load = (url, context, next) =>
  next(url, url.includes(published) ? { ...context, format: 'module' } : context)
