package slacktwin
