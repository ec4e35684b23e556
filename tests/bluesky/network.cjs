// Bluesky's own development network (PLC directory, server, AppView), until its standard input ends.
// HAILBACK_REAL_BLUESKY: a folder in which the npm package @atproto/dev-env is installed. DB_POSTGRES_URL, REDIS_HOST.
const path = require('node:path');
const { createRequire } = require('node:module');

const need = createRequire(path.join(process.env.HAILBACK_REAL_BLUESKY, 'package.json'));
const { TestNetwork } = need('@atproto/dev-env');

const schema = 'hailback_' + [...String(process.pid)].map((digit) => 'abcdefghij'[digit]).join('');

TestNetwork.create({ dbPostgresSchema: schema }).then((network) => {
  console.log(JSON.stringify({ server: network.pds.url }));
  process.stdin.on('end', () => network.close().finally(() => process.exit(0)));
  process.stdin.resume();
}).catch((error) => {
  console.error(error);
  process.exit(1);
});
