// One real, certified OpenID provider (npm oidc-provider) with several issuers on one port, for tests on loopback.
//
//   node oidc_provider.mjs NODE_MODULES AUDIENCE
//
// Says {"listening": "http://127.0.0.1:PORT"} on standard output when it listens. Issuers: /rsa (RS256), /ec (ES256), /pss
// (PS256). POST to one of these changes the keys of all: /_add publishes a new one beside the others, /_sign signs with the newest,
// /_drop publishes that one alone, /_replace does all of it at once. It answers with the newest kids.
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [modules, audience] = process.argv.slice(2)
const require = createRequire(`${modules}/`)
const load = async (name) => import(pathToFileURL(require.resolve(name)))
const { default: Provider } = await load('oidc-provider')
const { exportJWK, generateKeyPair } = await load('jose')

const algorithms = { rsa: 'RS256', ec: 'ES256', pss: 'PS256' }
const issuers = {}

async function newKey(alg, number) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: `${alg.toLowerCase()}-${number}`, alg, use: 'sig' }
}

// What becomes of an issuer's keys; the first one signs.
const changes = {
  '/_add': async (issuer) => {
    issuer.newest = await newKey(issuer.alg, ++issuer.count)
    return [...issuer.keys, issuer.newest]
  },
  '/_sign': (issuer) => [issuer.newest, ...issuer.keys.filter((key) => key !== issuer.newest)],
  '/_drop': (issuer) => [issuer.newest],
  '/_replace': async (issuer) => (await changes['/_add'](issuer)).slice(-1),
}

function provide(base, name, keys) {
  const alg = algorithms[name]
  const client = {
    client_id: 'daemon', client_secret: 'a-secret-of-the-test', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post',
    id_token_signed_response_alg: alg, scope: 'orders.read',
  }
  const provider = new Provider(`${base}/${name}`, {
    jwks: { keys }, scopes: ['orders.read'], clients: [client, { ...client, client_id: 'other' }],
    ttl: { ClientCredentials: 300 },
    features: {
      devInteractions: { enabled: false }, clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true, defaultResource: () => audience, useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: 'orders.read', audience, accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg } },
        }),
      },
    },
  })
  issuers[name] = { alg, count: 1, newest: keys[0], ...issuers[name], keys, handle: provider.callback() }
}

const server = createServer(async (request, response) => {
  const change = changes[request.url]
  if (request.method === 'POST' && change !== undefined) {
    for (const name of Object.keys(issuers)) provide(base, name, await change(issuers[name]))
    const kids = Object.values(issuers).map((issuer) => issuer.newest.kid)
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ kids }))
  }
  const [, name, ...rest] = request.url.split('/')
  const issuer = issuers[name]
  if (issuer === undefined) return response.writeHead(404).end()
  const tail = `/${rest.join('/')}`
  request.originalUrl = request.url
  request.url = tail
  return issuer.handle(request, response)
})

let base
server.listen(0, '127.0.0.1', async () => {
  base = `http://127.0.0.1:${server.address().port}`
  for (const name of Object.keys(algorithms)) provide(base, name, [await newKey(algorithms[name], 1)])
  process.stdout.write(`${JSON.stringify({ listening: base })}\n`)
})
