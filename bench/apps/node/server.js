const express = require('express')

const app = express()
app.get('/', (request, response) => response.send('ok\n'))
app.listen(Number(process.env.PORT), '127.0.0.1')
