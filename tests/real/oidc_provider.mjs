// One real, certified OpenID provider (npm oidc-provider) with several issuers on one port, for tests on loopback.
//
//   node oidc_provider.mjs NODE_MODULES AUDIENCE
//
// Says {"listening": "http://127.0.0.1:PORT"} on standard output when it listens. Issuers: /rsa (RS256), /ec (ES256), /pss
// (PS256). POST /<name>/_rotate puts a new signing key first and keeps the old ones; ?retire drops them.
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

function provide(base, name, keys) {
  const alg = algorithms[name]
  const client = {
    client_id: `${name}-daemon`, client_secret: 'a-secret-of-the-test', grant_types: ['client_credentials'],
    redirect_uris: [], response_types: [], token_endpoint_auth_method: 'client_secret_post',
    id_token_signed_response_alg: alg, scope: 'orders.read',
  }
  const provider = new Provider(`${base}/${name}`, {
    jwks: { keys }, scopes: ['orders.read'], clients: [client, { ...client, client_id: `${name}-other` }],
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
  issuers[name] = { keys, handle: provider.callback() }
}

const server = createServer(async (request, response) => {
  const [, name, ...rest] = request.url.split('/')
  const issuer = issuers[name]
  if (issuer === undefined) return response.writeHead(404).end()
  const tail = `/${rest.join('/')}`
  if (request.method === 'POST' && tail.startsWith('/_rotate')) {
    const key = await newKey(algorithms[name], issuer.keys.length + 1)
    provide(base, name, tail.endsWith('?retire') ? [key] : [key, ...issuer.keys])
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ kid: key.kid }))
  }
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
