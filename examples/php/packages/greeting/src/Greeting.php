<?php

namespace Example;

/** A greeting in the name of somebody. */
final class Greeting
{
    public static function from(string $name): string
    {
        return "Hello from {$name}.";
    }
}
