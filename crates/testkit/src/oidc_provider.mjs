// A provider of identities, by the real oidc-provider: see oidc_provider.rs.
//
// Its one argument is a directory with the file `settings`. Who has an account is read anew at each
// login; any password is right.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const settings = () => JSON.parse(readFileSync(join(process.argv[1], 'settings'), 'utf8'));
const { port, client, module } = settings();
const { Provider } = await import(pathToFileURL(module));

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: client.id,
    client_secret: client.secret,
    redirect_uris: client.redirect_uris,
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  cookies: { keys: ['of a test'] },
  // As the standard has it: what scopes ask for is told at the UserInfo endpoint.
  conformIdTokenClaims: true,
  findAccount: (_, id) => {
    const account = settings().accounts[id];
    return account && { accountId: id, claims: () => ({ sub: id, ...account }) };
  },
});

provider.listen(port, '127.0.0.1');
