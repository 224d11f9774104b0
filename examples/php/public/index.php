<?php

require __DIR__ . '/../vendor/autoload.php';

header('Content-Type: text/plain');
echo Example\Greeting::from('PHP'), "\n";
